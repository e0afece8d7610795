"""Making tasks: the decorator, names, options, classes, requests."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from umbel import Context, Task, Umbel, current_task, shared_task, use_app
from umbel.exceptions import AlreadyRegistered, ImproperlyConfigured, NotRegistered


def double(x: int) -> int:
    """Return twice *x*."""
    return 2 * x


def test_with_and_without_parentheses(umbel_app: Umbel) -> None:
    """[B409] [A117] [B461]"""
    bare = umbel_app.task(double)
    assert bare.name == f"{__name__}.double"
    assert bare(2) == 4
    assert bare.__doc__ == "Return twice *x*."
    assert umbel_app.tasks[bare.name] is bare
    assert umbel_app.task()(double).name == bare.name
    assert umbel_app.task(name="sum-of-two-numbers")(double).name == "sum-of-two-numbers"  # [C015]


def test_any_callable_makes_a_task(umbel_app: Umbel) -> None:
    """[B409]"""

    class Adder:
        def __call__(self, x: int, y: int) -> int:
            return x + y

    task = umbel_app.task(name="adder")(Adder())
    assert task(1, 2) == 3
    with pytest.raises(TypeError, match="expected a function"):
        umbel_app.task("tasks.add")  # type: ignore[call-overload]


def test_unknown_options_are_refused_with_the_nearest_name(umbel_app: Umbel) -> None:
    with pytest.raises(TypeError, match="unknown option 'max_retrys'; did you mean 'max_retries'"):
        umbel_app.task(max_retrys=3)(double)  # type: ignore[call-overload]


def test_a_base_class_brings_options_of_its_own(umbel_app: Umbel) -> None:
    """[A193] [B410]"""

    class Tagged(Task[..., Any]):
        abstract = True
        tag = "none"

    task: Any = umbel_app.task(base=Tagged, tag="blue")(double)  # type: ignore[call-overload]
    assert isinstance(task, Tagged)
    assert task.tag == "blue"
    assert Tagged.tag == "none"


def test_attributes_follow_the_settings_until_they_are_set(umbel_app: Umbel) -> None:
    """[A151] [A142] [A149]"""
    task = umbel_app.task(name="a")(double)
    assert (task.acks_late, task.rate_limit, task.serializer) == (True, None, "json")
    umbel_app.conf.update(task_acks_late=False, task_default_rate_limit="10/m")
    assert (task.acks_late, task.rate_limit) == (False, "10/m")
    own = umbel_app.task(name="b", acks_late=True, rate_limit=None)(double)
    assert (own.acks_late, own.rate_limit) == (True, None)


def test_defaults_are_those_of_the_manual(umbel_app: Umbel) -> None:
    """[A135] [B440] [B449] [B459] [B446]"""
    task = umbel_app.task(double)
    assert task.default_retry_delay == 180
    assert task.max_retries == 3
    assert not task.track_started
    assert not task.ignore_result


def test_bind_passes_the_task(umbel_app: Umbel) -> None:
    @umbel_app.task(bind=True, name="bound")
    def bound(self: Task[..., Any], x: int) -> tuple[str, int]:
        return self.name, x

    assert bound(3) == ("bound", 3)
    with pytest.raises(TypeError, match=r"task bound\(x\)"):
        bound.apply_async((1, 2))


def test_class_tasks_are_made_once_and_keep_their_state(umbel_app: Umbel) -> None:
    """[A189] [A191] [A192] [B431]"""

    class Counter(Task[..., int]):
        def __init__(self) -> None:
            self.calls = 0

        def run(self, step: int = 1) -> int:
            self.calls += step
            return self.calls

    counter = umbel_app.register_task(Counter)
    assert counter.name == f"{__name__}.Counter"
    assert [counter(), counter(2), counter.apply().get()] == [1, 3, 4]
    with pytest.raises(TypeError, match="too many positional"):
        counter.delay(1, 2)


def test_a_class_without_run_says_so(umbel_app: Umbel) -> None:
    """[B432]"""
    with pytest.raises(NotImplementedError, match=r"define run\(\)"):
        umbel_app.register_task(type("Empty", (Task,), {"name": "empty"})())()


def test_two_functions_of_one_name_are_an_error_and_one_function_twice_is_none(umbel_app: Umbel) -> None:
    """[B607]"""

    def other(x: int) -> int:
        return x

    first = umbel_app.task(name="t")(double)
    again = umbel_app.task(name="t")(double)
    assert umbel_app.tasks["t"] is again is not first
    with pytest.raises(AlreadyRegistered, match=r"task 't': defined by .*double and by .*other"):
        umbel_app.task(name="t")(other)


def test_unknown_tasks_are_named_with_the_nearest(umbel_app: Umbel) -> None:
    """[B609] [B630]"""
    umbel_app.task(name="tasks.add")(double)
    with pytest.raises(NotRegistered, match=r"'tasks\.ad': not registered here; did you mean 'tasks\.add'"):
        umbel_app.tasks["tasks.ad"]
    with pytest.raises(NotRegistered):
        umbel_app.tasks.unregister("nope")
    umbel_app.tasks.unregister("tasks.add")
    assert "tasks.add" not in umbel_app.tasks


def test_the_name_of_the_main_program_is_that_of_its_module(tmp_path: Path) -> None:
    """[B399] [A162] [A164]: caller and worker agree on the name, however the module is run."""
    package = tmp_path / "proj"
    package.mkdir()
    (package / "__init__.py").touch()
    source = "from umbel import Umbel\napp = Umbel()\n@app.task\ndef add(x, y): return x + y\nprint(add.name)\n"
    (package / "tasks.py").write_text(source)
    (package / "named.py").write_text(source.replace("Umbel()", "Umbel('main.module')"))
    (package / "relative.py").write_text("from .tasks import add\n")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    assert run("proj/tasks.py") == "tasks.add"
    assert run("-m", "proj.tasks") == "proj.tasks.add"
    assert run("-c", "import proj.relative") == "proj.tasks.add"
    assert run("-m", "proj.named") == "main.module.add"


def test_main_does_not_override_an_explicit_name() -> None:
    """[B1086]"""
    app = Umbel("main", broker="memory://", set_as_current=False)
    assert app.task(name="mine")(double).name == "mine"
    assert app.gen_task_name("f", "__main__") == "main.f"
    assert app.gen_task_name("f", "mod") == "mod.f"


def test_annotations_change_attributes_by_name_and_for_all(umbel_app: Umbel) -> None:
    """[C012]"""
    seen: list[Any] = []

    def on_failure(self: Any, exc: Any, *_: Any) -> None:
        seen.append((self.name, str(exc)))

    class Odd:
        def annotate(self, task: Any) -> Any:
            return {"priority": 3} if task.name == "odd" else None

    umbel_app.conf.task_annotations = (
        {"*": {"max_retries": 9}, "even": {"rate_limit": "10/m", "on_failure": on_failure}},
        Odd(),
    )
    even = umbel_app.task(name="even")(double)
    odd = umbel_app.task(name="odd")(double)
    umbel_app.finalize()
    late = umbel_app.task(name="late")(double)
    assert (even.rate_limit, even.max_retries, odd.priority, late.max_retries) == ("10/m", 9, 3, 9)
    even.apply((None,))
    assert seen[0][0] == "even"


def test_an_annotation_of_what_is_no_attribute_is_refused(umbel_app: Umbel) -> None:
    umbel_app.conf.task_annotations = {"*": {"rate_limt": 1}}
    umbel_app.task(double)
    with pytest.raises(TypeError, match="no attribute 'rate_limt'; did you mean 'rate_limit'"):
        umbel_app.finalize()


def test_the_request_of_a_direct_call_is_fresh(umbel_app: Umbel) -> None:
    """[B1079] [B500]"""
    requests: list[Context] = []

    @umbel_app.task(bind=True, name="outer")
    def outer(self: Task[..., Any], depth: int) -> None:
        requests.append(self.request)
        self.request.update(note=depth)
        if depth:
            outer(depth - 1)
        assert self.request.get("note") == depth
        assert current_task() is outer

    outer(2)
    assert len({id(request) for request in requests}) == 3
    assert all(request.called_directly and request.id is None for request in requests)
    assert current_task() is None
    assert outer.request.id is None


def test_an_overridden_call_shares_the_request_of_its_run(umbel_app: Umbel) -> None:
    """``super().__call__()`` opens no second request: the id is there in ``run`` too."""
    seen: list[Any] = []

    class Logged(Task[..., Any]):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(self.request.id)
            return super().__call__(*args, **kwargs)

    @umbel_app.task(base=Logged, bind=True, name="logged")
    def logged(self: Task[..., Any], again: bool) -> None:
        seen.append(self.request.id)
        if again:
            logged(False)

    logged.apply((True,), task_id="i")
    # The direct call has its own request from super().__call__() on.
    assert seen == ["i", "i", "i", None]


def test_context_keeps_headers_of_the_caller_out_of_its_attributes() -> None:
    headers = {"id": "i", "task": "t", "outbox": "evil", "called_directly": True, "retries": None}
    request = Context.from_message(headers, {}, [1], {}, {}, delivery=("q", "", "q", 0, False, 1), hostname="w")
    assert request.outbox == []
    assert not request.called_directly
    assert (request.root_id, request.retries, request.queue) == ("i", 0, "q")
    assert request.delivery_info == {"exchange": "", "routing_key": "q", "priority": 0, "redelivered": False}
    assert request.get("nothing", 5) == 5
    assert request.taskset is None


def test_tasks_and_results_are_picklable(umbel_app: Umbel) -> None:
    """[B1064]"""
    task = umbel_app.task(name="t")(double)
    assert pickle.loads(pickle.dumps(task)) is task
    result = umbel_app.AsyncResult("i")
    assert pickle.loads(pickle.dumps(result)) == result


def test_shared_tasks_belong_to_every_application() -> None:
    @shared_task(name="lib.twice")
    def twice(x: int) -> int:
        return 2 * x

    first = Umbel("one", broker="memory://", set_as_current=False)
    second = Umbel("two", broker="memory://", set_as_current=False)
    with use_app(first):
        assert twice.app is first
        assert twice(3) == 6
        assert twice.apply((4,)).get() == 8
    second.finalize()
    assert second.tasks["lib.twice"].app is second
    assert second.tasks["lib.twice"] is not first.tasks["lib.twice"]


def test_a_shared_task_without_an_application_says_what_to_do() -> None:
    code = (
        "from umbel import shared_task\n"
        "@shared_task\n"
        "def f(): pass\n"
        "try:\n    f.delay()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("ImproperlyConfigured expected an application, got none: make one with app = Umbel(")


def test_there_is_no_application_by_accident() -> None:
    from umbel.current import current_app, has_current_app, set_current

    before = current_app() if has_current_app() else None
    set_current(None)
    try:
        with pytest.raises(ImproperlyConfigured, match="expected an application"):
            current_app()
    finally:
        set_current(before)


def test_pydantic_models_are_validated_and_dumped(umbel_app: Umbel) -> None:
    """[2.8 pydantic]: shown with a class that has the two methods of a model, so that the test needs no pydantic."""

    class Model:
        def __init__(self, value: int) -> None:
            self.value = value

        @classmethod
        def model_validate(cls, value: Any, *, strict: Any, context: Any) -> Model:
            assert strict is None
            assert context["umbel_app"] is umbel_app
            return cls(value["value"])

        def model_dump(self, **_: Any) -> dict[str, int]:
            return {"value": self.value}

    def bump(model: Any, by: int = 1) -> Any:
        return Model(model.value + by)

    bump.__annotations__["model"] = Model
    task = umbel_app.task(name="bump", pydantic=True)(bump)
    assert task.apply(({"value": 1},), {"by": 2}).get() == {"value": 3}


def test_filter_wraps_the_task(umbel_app: Umbel) -> None:
    assert umbel_app.task(name="t", filter=lambda task: ("wrapped", task.name))(double) == ("wrapped", "t")  # type: ignore[comparison-overlap]


def test_on_bound_is_told(umbel_app: Umbel) -> None:
    seen: list[Any] = []

    def on_bound(self: Any, app: Any) -> None:
        seen.append((self.name, app))

    umbel_app.task(name="t", on_bound=on_bound)(double)
    assert seen == [("t", umbel_app)]
