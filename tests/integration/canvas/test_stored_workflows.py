"""Definitions of workflows that are kept once in the result store: messages stay small, and everything still ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import Task, Umbel, chain, chord, group
from umbel.canvas import records
from umbel.exceptions import BackendError, ChordError, WorkflowLostError
from umbel.signals import task_received
from umbel.states import FAILURE, SUCCESS
from umbel.worker import Worker

SOON_S = 20.0


class Broken(Exception):
    """An error of the tests' own."""


@pytest.fixture(params=["memory", "sqlite", "filesystem", "redis", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Umbel]:
    settings: dict[str, Any] = {}
    if request.param in {"redis", "memory"}:  # Celery may read the one, and pool processes cannot read the other
        settings["task_workflow_storage"] = "stored"
    if request.param == "redis":
        broker = backend = request.getfixturevalue("redis_server").url
    elif request.param == "postgres":
        url = request.getfixturevalue("postgres_server").url
        broker = backend = f"{url}?schema=stored_{tmp_path.name[-20:].replace('-', '_')}"
    else:
        broker, backend = {
            "memory": (f"memory://{tmp_path.name}",) * 2,
            "sqlite": (f"sqlite:///{tmp_path}/stored.db",) * 2,
            "filesystem": (f"filesystem://{tmp_path}/broker", f"file://{tmp_path}/results"),
        }[request.param]
    with Umbel("stored", broker=broker, backend=backend, set_as_current=False, **settings) as app:
        add_tasks(app)
        yield app


def add_tasks(app: Umbel) -> None:
    app.task(name="add")(lambda x, y: x + y)
    app.task(name="total")(sum)

    def fail(*args: Any) -> None:
        raise Broken("because")

    app.task(name="fail")(fail)

    def flaky(task: Task[..., Any], value: Any) -> Any:
        if not task.request.retries:
            raise task.retry(countdown=0)
        return value

    app.task(name="flaky", bind=True)(flaky)

    def handed_on(task: Task[..., Any], value: int) -> Any:
        return task.replace(chain(task.app.signature("add", args=(value, 1)), *(adding(task.app) for _ in range(20))))

    app.task(name="handed_on", bind=True)(handed_on)


def adding(app: Umbel, number: int = 1) -> Any:
    return app.signature("add", args=(number,))


@pytest.fixture
def sizes() -> Iterator[list[int]]:
    """The sizes of the messages' bodies, in the order in which they came."""
    found: list[int] = []

    def note(request: Any = None, **_: Any) -> None:
        found.append(len(request.delivery.message.body))

    task_received.connect(note)
    yield found
    task_received.disconnect(note)


def test_messages_of_a_chain_stay_small(app: Umbel, sizes: list[int]) -> None:
    steps = 60
    with Worker(app, pool="threads", concurrency=2):
        result = chain(app.signature("add", args=(0, 1)), *(adding(app) for _ in range(steps - 1))).delay()
        assert result.get(timeout=SOON_S) == steps
        assert result.parent.get(timeout=SOON_S) == steps - 1
    assert len(sizes) == steps
    assert max(sizes) < 1000


def test_messages_of_a_chord_stay_small(app: Umbel, sizes: list[int]) -> None:
    """The body, a long chain, is in the store once; so are the chains of the members."""
    members = [chain(app.signature("add", args=(n, 0)), *(adding(app) for _ in range(15))) for n in range(4)]
    body = chain(app.signature("total"), *(adding(app) for _ in range(30)))
    with Worker(app, pool="threads", concurrency=2):
        result = chord(members, body).delay()
        assert result.get(timeout=SOON_S) == sum(range(4)) + 4 * 15 + 30
    assert max(sizes) < 3000


def test_retries_and_replacements_keep_what_follows(app: Umbel) -> None:
    steps = [app.signature("flaky"), app.signature("handed_on"), *(adding(app) for _ in range(20))]
    with Worker(app, pool="threads", concurrency=2):
        result = chain(app.signature("add", args=(0, 1)), *steps).delay()
        assert result.get(timeout=SOON_S) == 1 + 21 + 20


def test_a_failure_ends_all_steps_to_come(app: Umbel) -> None:
    steps = [*(adding(app) for _ in range(10)), app.signature("fail"), *(adding(app) for _ in range(10))]
    with Worker(app, pool="threads", concurrency=2):
        result = chain(app.signature("add", args=(0, 1)), *steps).delay()
        with pytest.raises(Broken):
            result.get(timeout=SOON_S)
        node, states = result, []
        while node is not None:
            states.append(node.state)
            node = node.parent
    assert states == [FAILURE] * 11 + [SUCCESS] * 11


def test_a_failed_header_ends_the_stored_body(app: Umbel) -> None:
    body = chain(app.signature("total"), *(adding(app) for _ in range(20)))
    around = chord([chord([app.signature("fail"), adding(app, 1).clone((1,))], body)], app.signature("total"))
    with Worker(app, pool="threads", concurrency=2):
        result = around.delay()
        with pytest.raises(ChordError):
            result.get(timeout=SOON_S)


def test_a_lost_record_is_a_clear_error_and_an_end(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed, or has expired, ends the workflow: the last step, and the chord around it."""
    lose_records(app, monkeypatch)
    steps = chain(app.signature("add", args=(0, 1)), *(adding(app) for _ in range(20)))
    result = steps.delay()
    around = chord([steps, app.signature("add", args=(1, 1))], app.signature("total")).delay()
    with Worker(app, pool="threads", concurrency=2):
        with pytest.raises(WorkflowLostError, match=r"is not in the result store: it was removed, it expired"):
            result.get(timeout=SOON_S)
        first = result
        while first.parent is not None:
            first = first.parent
        assert first.get(timeout=SOON_S) == 1
        with pytest.raises(ChordError, match="WorkflowLostError"):
            around.get(timeout=SOON_S)


def test_a_lost_body_is_a_clear_error_and_an_end(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_records(app, monkeypatch)
    body = app.signature("total").set(headers={"big": "x" * 2000})
    inner = chord([app.signature("add", args=(1, 1))], body)
    result = chord([inner], app.signature("total").set(headers={"small": "x"})).delay()
    with Worker(app, pool="threads", concurrency=2), pytest.raises(ChordError, match="result store"):
        result.get(timeout=SOON_S)


def lose_records(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every record gone as soon as it is written."""
    save = app.backend.save_group

    def lose(name: str, payload: bytes | None, expires_s: float | None = None) -> None:
        save(name, payload, expires_s)
        if name.startswith("workflow-"):
            save(name, None)

    monkeypatch.setattr(app.backend, "save_group", lose)


def test_a_store_that_is_away_for_a_while_loses_nothing(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    load, failures = app.backend.load_group, [3]

    def away(name: str) -> bytes | None:
        if failures[0]:
            failures[0] -= 1
            raise BackendError("away")
        return load(name)

    monkeypatch.setattr(app.backend, "load_group", away)
    with Worker(app, pool="threads", concurrency=2):
        result = chain(app.signature("add", args=(0, 1)), *(adding(app) for _ in range(20))).delay()
        assert result.get(timeout=SOON_S) == 21
        body = chain(app.signature("total"), *(adding(app) for _ in range(20)))
        failures[0] = 2
        assert chord([app.signature("add", args=(1, 1))], body).delay().get(timeout=SOON_S) == 22
    assert not failures[0]


def test_a_record_that_is_over_expires_soon(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, list[float | None]] = {}
    save = app.backend.save_group

    def note(name: str, payload: bytes | None, expires_s: float | None = None) -> None:
        save(name, payload, expires_s)
        if name.startswith("workflow-"):
            kept.setdefault(name, []).append(expires_s)

    monkeypatch.setattr(app.backend, "save_group", note)
    body = chain(app.signature("total"), *(adding(app) for _ in range(20)))
    with Worker(app, pool="threads", concurrency=2):
        result = chord([chain(app.signature("add", args=(0, 1)), *(adding(app) for _ in range(20)))], body).delay()
        assert result.get(timeout=SOON_S) == 41
    assert len(kept) == 2
    assert all(times == [7 * 86_400.0, 3600.0] for times in kept.values())


def test_a_reference_that_is_taken_for_a_task_becomes_its_step(app: Umbel, sizes: list[int]) -> None:
    """[C011] A worker that does not know references sends them: the built-in task puts the step in its place."""
    frozen, result = app.workflows.freeze(
        chain(app.signature("add", args=(0, 1)), *(adding(app) for _ in range(20)), app=app)
    )
    (first,) = app.workflows.prepare(type(adding(app)).from_dict(frozen, app))
    (_, _, embed) = json.loads(first.message.body)
    (found,) = embed["chain"]
    with Worker(app, pool="threads", concurrency=2):
        app.signature(found).apply_async((1,))
        assert result.get(timeout=SOON_S) == 21


@pytest.mark.parametrize(
    ("broker", "backend", "mode", "stores"),
    [
        ("sqlite:///a.db", "sqlite:///a.db", "auto", True),
        ("sqlite:///a.db", "sqlite:///a.db", "embedded", False),
        ("sqlite:///a.db", None, "auto", False),
        ("memory://", "memory://", "auto", False),
        ("redis://localhost", "redis://localhost", "auto", False),
        ("redis://localhost", "redis://localhost", "stored", True),
        ("redis://localhost", "rpc://", "stored", False),
        ("amqp://localhost", "redis://localhost", "auto", False),
    ],
)
def test_where_definitions_are_stored(broker: str, backend: str | None, mode: Any, stores: bool) -> None:
    """By itself only where no Celery worker can be the receiver, and every worker can read the store."""
    with Umbel("where", broker=broker, backend=backend, set_as_current=False, task_workflow_storage=mode) as app:
        assert app.workflows.records.is_used is stores


def test_groups_that_something_follows_in_stored_chains(app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_INLINE_BYTES", 0)
    inner = chain(adding(app), group(adding(app), adding(app, 2)), app=app).set(priority=3)
    with Worker(app, pool="threads", concurrency=2):
        result = chain(app.signature("add", args=(0, 1)), inner, app.signature("total"), adding(app)).delay()
        assert result.get(timeout=SOON_S) == 3 + 4 + 1
