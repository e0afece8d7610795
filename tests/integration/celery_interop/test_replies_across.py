"""Results as messages (``rpc://``) from workers of one kind to callers of the other: WIRE 5.3."""

from __future__ import annotations

from typing import Any

import celery
import pytest

import umbel

LIBRARIES = {"celery": celery, "umbel": umbel}


def test_results_come_to_their_caller(way_by_rpc: Any) -> None:
    results = [way_by_rpc.send("add", number, 1) for number in range(30)]
    assert [result.get(timeout=20) for result in results] == list(range(1, 31))


def test_errors_come_to_their_caller(way_by_rpc: Any) -> None:
    with pytest.raises(ValueError, match="deliberate") as caught:
        way_by_rpc.call("fail")
    assert caught.value.args == ("deliberate", 42)


def test_retries_end_in_one_result(way_by_rpc: Any) -> None:
    assert way_by_rpc.call("flaky", 2) == [way_by_rpc.worker, 2]


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_serializers(way_by_rpc: Any, serializer: str) -> None:
    assert way_by_rpc.call("same", [1, "ü"], serializer=serializer) == [1, "ü"]


def test_the_address_survives_a_chain(way_by_rpc: Any) -> None:
    """WIRE 9.9: the last result comes to the client, whoever ran the steps."""
    way = way_by_rpc
    steps = [way.sig("who", 1, on=way.worker), way.sig("who", on=way.client), way.sig("who", on=way.worker)]
    result = LIBRARIES[way.client].chain(*steps, app=way.app).apply_async()
    assert result.get(timeout=20) == [way.worker, [way.client, [way.worker, 1]]]


def test_a_group(way_by_rpc: Any) -> None:
    way = way_by_rpc
    members = [way.sig("who", number, on=kind) for number in range(3) for kind in LIBRARIES]
    result = LIBRARIES[way.client].group(members, app=way.app).apply_async()
    assert result.get(timeout=20) == [[kind, number] for number in range(3) for kind in LIBRARIES]
