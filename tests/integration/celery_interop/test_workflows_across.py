"""Workflows that one kind of client sends and both kinds of workers run."""

from __future__ import annotations

import uuid
from typing import Any

import celery
import pytest

import umbel

LIBRARIES = {"celery": celery, "umbel": umbel}


def parts_of(way: Any) -> Any:
    return LIBRARIES[way.client]


def other(kind: str) -> str:
    return "umbel" if kind == "celery" else "celery"


def test_link(way: Any) -> None:
    key = uuid.uuid4().hex
    way.send("add", 2, 3, link=way.sig("note", key, on=way.client)).get(timeout=20)
    assert way.cluster.noted(key) == [way.client, 5]


def test_link_error(way: Any) -> None:
    key = uuid.uuid4().hex
    result = way.send("fail", link_error=way.sig("note_error", key))
    kind, task_id, error, arguments = way.cluster.noted(key)
    assert (kind, task_id, error, arguments) == (way.worker, result.id, "ValueError", ["deliberate", 42])


def test_link_error_of_the_old_kind_runs_elsewhere(way: Any) -> None:
    result = way.send("fail", link_error=way.sig("note_failed_id", on=way.client))
    kind, task_id = way.cluster.noted(f"failed-{result.id}")
    assert task_id == result.id
    assert kind in LIBRARIES


def test_a_chain_through_both_kinds(way: Any) -> None:
    steps = [way.sig("who", "start", on=way.worker), way.sig("who", on=way.client), way.sig("who", on=way.worker)]
    result = parts_of(way).chain(*steps, app=way.app).apply_async()
    assert result.get(timeout=20) == [way.worker, [way.client, [way.worker, "start"]]]
    assert result.parent.get(timeout=20) == [way.client, [way.worker, "start"]]


def test_a_chain_stops_at_its_failure(way: Any) -> None:
    failing = way.sig("fail").set(immutable=True)
    steps = [way.sig("add", 1, 1), way.sig("same", on=way.client), failing, way.sig("same")]
    result = parts_of(way).chain(*steps, app=way.app).apply_async()
    with pytest.raises(ValueError, match="deliberate"):
        result.parent.get(timeout=20)


def test_a_group_on_both_kinds(way: Any) -> None:
    members = [way.sig("who", number, on=kind) for number in range(4) for kind in LIBRARIES]
    result = parts_of(way).group(members, app=way.app).apply_async()
    assert result.get(timeout=20) == [[kind, number] for number in range(4) for kind in LIBRARIES]


@pytest.mark.parametrize("body", ["celery", "umbel"])
def test_a_chord_whose_parts_both_kinds_run(way: Any, body: str) -> None:
    header = [way.sig("who", number, on=kind) for number in range(5) for kind in LIBRARIES]
    result = parts_of(way).chord(header, app=way.app)(way.sig("join_who", on=body))
    assert result.get(timeout=20) == [body, [[kind, number] for number in range(5) for kind in LIBRARIES]]


def test_a_chord_on_the_common_queue(way: Any) -> None:
    header = [way.sig("same", number, on="both") for number in range(30)]
    result = parts_of(way).chord(header, app=way.app)(way.sig("total", on="both"))
    assert result.get(timeout=20) == sum(range(30))


@pytest.mark.parametrize("failing", ["celery", "umbel"])
def test_a_chord_with_a_failing_part_fails(way: Any, failing: str) -> None:
    header = [way.sig("same", 1, on=other(failing)), way.sig("fail", on=failing), way.sig("same", 2, on=failing)]
    result = parts_of(way).chord(header, app=way.app)(way.sig("total", on=way.worker))
    # With propagation Celery's client raises the part's own error first.
    error = result.get(timeout=20, propagate=False)
    assert type(error).__name__ == "ChordError"
    assert "deliberate" in str(error)


def test_a_chain_with_a_group_in_it(way: Any) -> None:
    library = parts_of(way)
    middle = library.group([way.sig("add", 10, on="celery"), way.sig("add", 20, on="umbel")], app=way.app)
    steps = [way.sig("add", 1, 1), middle, way.sig("total", on=way.client), way.sig("add", 100)]
    assert library.chain(*steps, app=way.app).apply_async().get(timeout=20) == 134
