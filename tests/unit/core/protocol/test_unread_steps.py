"""The steps of a long chain are handed on unread, and are the same wherever they are read."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.context import Context
from umbel.host import Host
from umbel.model import TaskCall
from umbel.protocol.codec import Codec
from umbel.protocol.steps import UnreadSteps
from umbel.protocol.tasks import decode_body, encode_task
from umbel.testing.serializers import plain_values

CODEC = Codec(Host())


def _step(*args: Any, **options: Any) -> dict[str, Any]:
    return {"task": "t", "args": list(args), "kwargs": {}, "options": {"task_id": str(uuid.uuid4()), **options}}


def _steps(*values: Any) -> list[Any]:
    """Return the steps of a long chain, one with each of *values*."""
    return [_step(value) for value in (*range(20), *values)]


def _carried(chain: Any, serializer: str = "json", *, unread: bool = True, **fields: Any) -> Any:
    call = TaskCall("t", "i", ("ä", {"k": None}), chain=chain, serializer=serializer, **fields)
    message = encode_task(call, CODEC)
    args, _, embed = decode_body(message, CODEC, CODEC.content_types([serializer]), unread=unread)
    assert args == ["ä", {"k": None}]
    assert embed["chord"] == fields.get("chord")
    return embed["chain"]


@given(st.lists(plain_values(), max_size=3))
def test_steps_are_taken_off_one_by_one(values: list[Any]) -> None:
    """However deep and odd what they carry is, texts that look like steps included."""
    expected = _steps(*values, '},{"task":"x"}]}]', {"task": [{"task": '"chain": [{"task":'}]})
    left = _carried(expected, chord={"task": "body"})
    while type(left) is UnreadSteps:
        assert list(left) == expected
        found = left.following()
        if found is None:  # it is said to be hard to say, and all of them are read
            *left, step = list(left)
        else:
            step, left = found
        assert step == expected.pop()
        left = _carried(left, chord={"task": "body"})
    assert (left or []) == expected


def test_a_step_with_steps_in_it_is_not_taken_apart() -> None:
    inner = _step(1, link=[_step(2), _step(3)])
    chain = _carried([*_steps(), inner])
    assert chain.following() is None
    assert list(chain)[-1] == inner


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        uuid.UUID(int=7),
        b"\xff",
        float("inf"),
        {"__type__": "x"},
        2**70,
        "\ud800",
    ],
    ids=["datetime", "uuid", "bytes", "infinity", "mark", "long", "surrogate"],
)
def test_what_json_has_no_form_for_comes_back(value: Any) -> None:
    steps = _steps(value, 1)
    again = _carried(_carried(steps))
    assert type(again) is UnreadSteps
    assert list(again) == steps
    _, rest = again.following() or ({}, [])
    assert type(rest) is UnreadSteps
    step, left = rest.following() or ({}, [])
    assert (step, list(left)) == (steps[-2], steps[:-2])


@pytest.mark.parametrize(
    "body",
    [
        '[[{"chain": [%s]}], {}, {"callbacks": null, "errbacks": null, "chord": null, "chain": [%s]}]',
        '[[], {"chain": [%s]}, {"callbacks": null, "errbacks": null, "chord": null, "chain": [%s]}]',
        '[[%s], {}, {"chain": null, "callbacks": null, "chord": null, "errbacks": [%s]}]',
        '[[%s], {}, {"chain": [%s]}]',
        '[[%s], {}, {"callbacks": null, "errbacks": null, "chain": [%s], "chord": null}]',
        '[[%s], {}, {"callbacks": null, "errbacks": null, "chord": [], "chain" : [%s]}]',
    ],
    ids=["args", "kwargs", "errbacks", "short", "celery", "spaces"],
)
def test_bodies_of_others_are_read_whole(body: str) -> None:
    steps = json.dumps(_steps())[1:-1]
    message = encode_task(TaskCall("t", "i"), CODEC)
    message.body = (body % (steps, steps)).encode()
    accept = CODEC.content_types(["json"])
    found = decode_body(message, CODEC, accept, unread=True)
    args, kwargs, embed = json.loads(message.body)
    assert found == (args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None, **embed})


@pytest.mark.parametrize("serializer", ["msgpack", "yaml", "pickle"])
def test_other_serializers_carry_them_as_a_list(serializer: str) -> None:
    steps = _steps()
    carried = _carried(_carried(steps), serializer)
    assert carried == steps
    assert type(carried) is list


def test_a_task_that_asks_sees_a_list_and_may_change_it() -> None:
    steps = _steps()
    embed = {"callbacks": None, "errbacks": None, "chord": None, "chain": _carried(steps)}
    request = Context.from_message({"id": "i", "task": "t"}, {}, [], {}, embed, delivery=("q", "", "q", 0, False, 1))
    assert type(request.steps) is UnreadSteps
    assert request.chain == steps
    assert request.chain is not None
    request.chain.pop()
    assert list(request.steps) == steps[:-1]
    request.chain = None
    assert request.steps is None
