from __future__ import annotations

import random
import threading
from typing import Any, ClassVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import ImproperlyConfigured
from umbel.worker.steps import Step, StepGraph, StepState, order_steps


def make(name: str, requires: Any = (), last: bool = False, **methods: Any) -> type[Step]:
    return type(name, (Step,), {"name": name, "requires": tuple(requires), "last": last, **methods})


def names(steps: Any) -> list[str]:
    return [cls.step_name() for cls in steps]


def graph_of(*classes: type[Step]) -> StepGraph:
    return StepGraph(cast("Any", object()), classes)


def recorder(log: list[str], name: str, requires: Any = (), fails: str = "") -> type[Step]:
    def method(what: str) -> Any:
        def act(self: Step, worker: Any) -> None:
            log.append(f"{what} {name}")
            if what == fails:
                raise RuntimeError(name)

        return act

    return make(name, requires, **{what: method(what) for what in ("create", "start", "stop", "terminate")})


def test_a_step_comes_after_what_it_requires() -> None:
    a, b, c = make("a", ["c"]), make("b", ["a"]), make("c")
    assert names(order_steps([a, b, c])) == ["c", "a", "b"]


def test_steps_can_be_required_by_class() -> None:
    base = make("base")
    assert names(order_steps([make("top", [base]), base])) == ["base", "top"]


def test_the_last_step_comes_after_steps_that_nobody_ordered() -> None:
    last, user, after = make("gate", last=True), make("user"), make("after", ["gate"])
    assert names(order_steps([last, after, user])) == ["user", "gate", "after"]


def test_an_unknown_requirement_names_the_nearest() -> None:
    with pytest.raises(ImproperlyConfigured, match="did you mean 'pool'"):
        order_steps([make("pool"), make("mine", ["pol"])])


def test_a_circle_is_an_error_that_names_it() -> None:
    with pytest.raises(ImproperlyConfigured, match="circle: a, b"):
        order_steps([make("a", ["b"]), make("b", ["a"])])


def test_two_steps_of_one_name_are_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="two worker steps are named 'a'"):
        order_steps([make("a"), make("a")])


@given(st.integers(1, 12), st.integers())
def test_any_acyclic_graph_is_put_in_order(size: int, seed: int) -> None:
    rng = random.Random(seed)
    classes = [make(f"s{i}", [f"s{j}" for j in range(i) if rng.random() < 0.3]) for i in range(size)]
    shuffled = classes[:]
    rng.shuffle(shuffled)
    ordered = names(order_steps(shuffled))
    assert sorted(ordered) == sorted(names(classes))
    for cls in classes:
        assert all(ordered.index(str(needed)) < ordered.index(cls.step_name()) for needed in cls.requires)


def test_start_in_order_and_stop_in_reverse() -> None:
    log: list[str] = []
    graph = graph_of(recorder(log, "b", ["a"]), recorder(log, "a"))
    graph.start()
    graph.stop()
    assert log == ["create a", "create b", "start a", "start b", "stop b", "stop a"]
    assert graph.state == StepState.STOPPED
    graph.stop()
    assert log[-1] == "stop a"


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_a_failed_start_ends_what_was_started(failing: str) -> None:
    """[B978] the worker does not stall half started; what was begun is ended in reverse."""
    log: list[str] = []
    graph = graph_of(
        *(recorder(log, name, requires, "start" if name == failing else "") for name, requires in _CHAIN.items())
    )
    with pytest.raises(RuntimeError, match=failing):
        graph.start()
    started = [line.split()[1] for line in log if line.startswith("start ")]
    assert [line for line in log if line.startswith("terminate")] == [f"terminate {name}" for name in reversed(started)]


_CHAIN: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["b"]}


def test_a_failed_create_starts_nothing() -> None:
    log: list[str] = []
    graph = graph_of(recorder(log, "a"), recorder(log, "b", fails="create"))
    with pytest.raises(RuntimeError):
        graph.start()
    assert log == ["create a", "create b"]


def test_a_step_that_cannot_stop_does_not_keep_the_others(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    graph = graph_of(recorder(log, "a"), recorder(log, "b", ["a"], fails="stop"))
    graph.start()
    graph.stop()
    assert log[-1] == "stop a"
    assert "step b could not be stopped cleanly" in caplog.text


def test_a_second_stop_makes_the_rest_cold() -> None:
    log: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Step):
        name: ClassVar[str] = "slow"
        requires: ClassVar[Any] = ("below",)

        def stop(self, worker: Any) -> None:
            inside.set()
            assert go_on.wait(10)

    graph = graph_of(recorder(log, "below"), Slow)
    graph.start()
    thread = threading.Thread(target=graph.stop)
    thread.start()
    assert inside.wait(10)
    graph.hasten()
    go_on.set()
    thread.join(10)
    assert log[-1] == "terminate below"


def test_steps_may_decline() -> None:
    log: list[str] = []
    absent = recorder(log, "absent")
    absent.include_if = lambda self, worker: False  # type: ignore[method-assign]
    graph = graph_of(absent, recorder(log, "there"))
    graph.start()
    graph.stop()
    assert not any("absent" in line for line in log)
    with pytest.raises(KeyError):
        graph["absent"]
