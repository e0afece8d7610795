"""The body of a chord is sent once: whatever comes twice, and wherever a commit breaks off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel, chord
from umbel.canvas.chords import chord_body, chord_part
from umbel.canvas.planning import plan
from umbel.context import Context
from umbel.exceptions import OperationalError
from umbel.model import Commit, Publication, Settlement
from umbel.states import SUCCESS
from umbel.worker import Worker
from umbel.worker.committers import GenericCommitter

SOON_S = 20.0


@pytest.fixture(params=["memory", "sqlite", "filesystem", "mixed", "redis"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Umbel]:
    redis = request.getfixturevalue("redis_server").url if request.param == "redis" else ""
    broker, backend = {
        "redis": (redis, redis),
        "memory": ("memory://once", "memory://once"),
        "sqlite": (f"sqlite:///{tmp_path}/once.db", f"sqlite:///{tmp_path}/once.db"),
        "filesystem": (f"filesystem://{tmp_path}/broker", f"file://{tmp_path}/results"),
        "mixed": (f"memory://{tmp_path.name}", f"sqlite:///{tmp_path}/results.db"),
    }[request.param]
    with Umbel("once", broker=broker, backend=backend, set_as_current=False) as app:
        yield app


def test_members_that_are_delivered_twice(app: Umbel) -> None:
    bodies: list[Any] = []
    ident = app.task(name="ident")(lambda value: value)

    def gather(values: Any) -> Any:
        bodies.append(values)
        return values

    body = app.task(name="body")(gather)
    last = app.task(name="last")(lambda: "end")
    frozen, result = app.workflows.freeze(chord([ident.s(number) for number in range(20)], body.s()))
    twice = [*app.workflows.prepare_calls(plan(frozen))] * 2
    with Worker(app, pool="threads", concurrency=4):
        app.publisher.send(twice)
        assert result.get(timeout=SOON_S) == list(range(20))
        app.publisher.send(twice)  # and again, long after
        assert ident.delay("marker").get(timeout=SOON_S) == "marker"
        assert last.delay().get(timeout=SOON_S) == "end"
    assert bodies == [list(range(20))]


class Breaking:
    """A real transport whose connection is lost once, at one publication."""

    def __init__(self, transport: Any, at: int) -> None:
        self.transport = transport
        self.left = at
        self.sent: list[str] = []

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise OperationalError("the connection is lost")
        self.transport.publish(publications, timeout_s)
        self.sent.extend(publication.message.headers["task"] for publication in publications)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_that_breaks_off_goes_on_where_it_stopped(umbel_app: Umbel, at: int) -> None:
    """Two chords end in one commit: neither body is lost, and none is sent twice."""
    for name in ("ident", "one", "two"):
        umbel_app.task(name=name)(lambda value: value)
    parts = []
    for name in ("one", "two"):
        (member,), _ = _calls(umbel_app, name)
        place = member.options
        request = Context(id=place["task_id"], chord=place["chord"], group=place["group_id"], group_index=0)
        parts.append(chord_part(umbel_app, request, SUCCESS, 1))
    transport = Breaking(umbel_app.open_transport(), at)
    committer = GenericCommitter(
        transport,  # type: ignore[arg-type]  # as much of a transport as a committer uses
        umbel_app.backend,
        lambda settlement: None,
        lambda joined: chord_body(umbel_app, joined),
        5.0,
    )
    first = umbel_app.workflows.prepare(umbel_app.signature("ident", args=(1,)))
    commit = Commit(publications=first, parts=[part for part in parts if part], settlement=Settlement())
    for _ in range(2):
        try:
            committer.commit(commit)
        except OperationalError:
            continue
        break
    assert sorted(transport.sent) == ["ident", "one", "two"]
    assert not umbel_app.backend.join(commit.parts)


def _calls(app: Umbel, body: str) -> tuple[list[Any], Any]:
    frozen, result = app.workflows.freeze(chord([app.signature("ident", args=(1,))], app.signature(body)))
    return plan(frozen), result
