"""The steps that a chain's messages hand on: written quickly where they are known to be plain, and always rightly."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.host import Host
from umbel.model import PlainSteps, TaskCall
from umbel.protocol.codec import Codec
from umbel.protocol.tasks import decode_body, encode_task
from umbel.testing.serializers import plain_values

CODEC = Codec(Host())


def _steps(*values: Any) -> list[Any]:
    """Return steps of a chain, one with each of *values*, and enough others to be worth a look."""
    values = (*values, 1, 2, 3, 4)
    return [{"task": "t", "args": [value], "kwargs": {}, "options": {"task_id": str(uuid.uuid4())}} for value in values]


def _carried(chain: Any, serializer: str = "json", **fields: Any) -> Any:
    call = TaskCall("t", "i", ("ä", {"k": None}), chain=chain, serializer=serializer, **fields)
    args, _, embed = decode_body(encode_task(call, CODEC), CODEC, CODEC.content_types([serializer]))
    assert args == ["ä", {"k": None}]
    assert embed["chord"] == fields.get("chord")
    return embed["chain"]


@given(st.lists(plain_values(), max_size=3))
def test_plain_steps_arrive_as_they_were_again_and_again(values: list[Any]) -> None:
    steps = _steps(*values)
    first = _carried(steps, chord={"task": "body"})
    assert first == steps
    again = _carried(PlainSteps(first), chord={"task": "body"})
    assert again == steps


def test_they_are_known_and_written_in_another_way() -> None:
    steps = _carried(_steps("ä"))
    assert type(steps) is PlainSteps
    call = TaskCall("t", "i", chain=steps)
    assert "ä".encode() in encode_task(call, CODEC).body
    call.chain = list(steps)
    assert "ä".encode() not in encode_task(call, CODEC).body


@pytest.mark.parametrize(
    "value",
    [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), uuid.UUID(int=7), b"\xff", float("inf"), {"__type__": "x"}],
    ids=["datetime", "uuid", "bytes", "infinity", "mark"],
)
def test_what_is_not_plain_is_not_taken_for_it(value: Any) -> None:
    steps = _steps(value)
    carried = _carried(steps)
    assert type(carried) is list
    assert _carried(carried) == steps


def test_a_step_that_a_task_has_put_among_them_is_written_whole() -> None:
    """Tasks change ``self.request.chain``: what they put there is no plain data any more."""
    steps = _carried(_steps())
    steps[1] = {**steps[1], "args": [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), 2**70, "\ud800"]}
    assert _carried(steps) == steps


@pytest.mark.parametrize("serializer", ["msgpack", "yaml", "pickle"])
def test_other_serializers_carry_them_as_a_list(serializer: str) -> None:
    steps = _steps()
    carried = _carried(PlainSteps(steps), serializer)
    assert carried == steps
    assert type(carried) is list
