from __future__ import annotations

import datetime as dt
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import ContentDisallowed, DecodeError, EncodeError, InvalidTaskError
from umbel.host import Host
from umbel.model import Message, TaskCall
from umbel.protocol.codec import Codec
from umbel.protocol.tasks import decode_body, encode_task, normalize, parse_time

CODEC = Codec(Host())
ACCEPT = CODEC.content_types(["json"])
ID = "11111111-2222-3333-4444-555555555555"
NAIVE = dt.datetime.fromisoformat("2026-01-02T03:04:05")
NOW = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message_of(headers: Any, body: Any, **fields: Any) -> Message:
    return Message(json.dumps(body).encode(), headers, **fields)


def test_a_plain_call_is_what_celery_sends() -> None:
    """WIRE 1.1, 1.3: all headers in order, the body to the byte."""
    message = encode_task(TaskCall("wtasks.add", ID, (2, 3), ignore_result=False), CODEC, origin="gen13845@vm")
    assert json.dumps(message.headers) == (
        '{"lang": "py", "task": "wtasks.add", "id": "11111111-2222-3333-4444-555555555555", "shadow": null, '
        '"eta": null, "expires": null, "group": null, "group_index": null, "retries": 0, "timelimit": [null, null], '
        '"root_id": "11111111-2222-3333-4444-555555555555", "parent_id": null, "argsrepr": "(2, 3)", '
        '"kwargsrepr": "{}", "origin": "gen13845@vm", "ignore_result": false, "replaced_task_nesting": 0, '
        '"stamped_headers": null, "stamps": {}}'
    )
    assert message.body == b'[[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
    assert message.properties == {"correlation_id": ID, "reply_to": "", "delivery_mode": 2}
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")


def full_call(**changes: Any) -> TaskCall:
    fields: dict[str, Any] = {
        "name": "t",
        "task_id": ID,
        "args": [1, "ä"],
        "kwargs": {"k": b"\xff"},
        "eta": NOW + dt.timedelta(minutes=1),
        "expires": NOW + dt.timedelta(hours=1),
        "retries": 2,
        "shadow": "other",
        "group_id": "g",
        "group_index": 3,
        "root_id": "r",
        "parent_id": "p",
        "callbacks": [{"task": "cb"}],
        "errbacks": [{"task": "eb"}],
        "chain": [{"task": "last"}, {"task": "next"}],
        "chord": {"task": "body"},
        "time_limit_s": 20,
        "soft_time_limit_s": 10.5,
        "ignore_result": True,
        "reply_to": "here",
        "correlation_id": "c",
        "priority": 5,
        "delivery_mode": 1,
        "replaced_task_nesting": 1,
        "stamped_headers": ["myid", "absent"],
        "stamps": {"myid": "abc", "unlisted": 1},
        "headers": {"x-foo": "bar"},
        "properties": {"app_id": "a"},
    }
    return TaskCall(**{**fields, **changes})


def test_every_field_arrives() -> None:
    message = encode_task(full_call(), CODEC, now=NOW, origin="o")
    assert message.headers == {
        "lang": "py",
        "task": "t",
        "id": ID,
        "shadow": "other",
        "eta": "2026-11-21T03:01:00+00:00",
        "expires": "2026-11-21T04:00:00+00:00",
        "group": "g",
        "group_index": 3,
        "retries": 2,
        "timelimit": [20, 10.5],  # WIRE 9.3: hard, soft
        "root_id": "r",
        "parent_id": "p",
        "argsrepr": "[1, 'ä']",
        "kwargsrepr": "{'k': b'\\xff'}",
        "origin": "o",
        "ignore_result": True,
        "replaced_task_nesting": 1,
        "stamped_headers": ["myid", "absent"],
        "stamps": {"myid": "abc"},
        "x-foo": "bar",
    }
    assert message.properties == {
        "correlation_id": "c",
        "reply_to": "here",
        "delivery_mode": 1,
        "priority": 5,
        "expiration": "3600000",
        "app_id": "a",
    }
    assert normalize(message, CODEC, ACCEPT) is message
    args, kwargs, embed = decode_body(message, CODEC, ACCEPT)
    assert (args, kwargs) == ([1, "ä"], {"k": b"\xff"})
    assert embed == {
        "callbacks": [{"task": "cb"}],
        "errbacks": [{"task": "eb"}],
        "chain": [{"task": "last"}, {"task": "next"}],
        "chord": {"task": "body"},
    }


def test_times_have_an_offset_and_what_has_passed_expires_at_once() -> None:
    """[B320, B743, B744]"""
    call = full_call(eta=NAIVE.replace(microsecond=6), expires=NOW - dt.timedelta(1))
    message = encode_task(call, CODEC, now=NOW)
    assert message.headers["eta"] == "2026-01-02T03:04:05.000006+00:00"
    assert message.properties["expiration"] == "0"


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("name", ["gzip", "bzip2", "zstd"])
def test_bodies_are_compressed_and_restored(protocol: int, name: str) -> None:
    """[B187, B478]"""
    call = TaskCall("t", ID, ("x" * 10_000,), compression=name)
    message = encode_task(call, CODEC, protocol=protocol)
    assert len(message.body) < 500
    assert message.headers["compression"] == CODEC.compress(b"", name)[1]
    assert decode_body(normalize(message, CODEC, ACCEPT), CODEC, ACCEPT)[0] == ["x" * 10_000]


def test_representations_are_bounded_or_the_callers() -> None:
    call = TaskCall("t", ID, ("x" * 5000,), {"k": [[[[1]]]]})
    headers = encode_task(call, CODEC, maxlevels=2).headers
    assert len(headers["argsrepr"]) == 1024
    assert headers["kwargsrepr"] == "{'k': [[...]]}"
    call = TaskCall("t", ID, ("secret",), {"password": "x"}, argsrepr="(***)", kwargsrepr="{***}")
    headers = encode_task(call, CODEC).headers
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("(***)", "{***}")


@pytest.mark.parametrize(("args", "kwargs"), [("abc", {}), ({1}, {}), (5, {}), ((), [1]), ((), "x")])
def test_arguments_of_the_wrong_shape_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError, match="arguments are a"):
        encode_task(TaskCall("t", ID, args, kwargs), CODEC)


def test_arguments_that_cannot_be_encoded_are_refused_at_the_sender() -> None:
    with pytest.raises(EncodeError, match="set is not JSON"):
        encode_task(TaskCall("t", ID, ({1},)), CODEC)
    with pytest.raises(EncodeError, match="must be 1 or 2"):
        encode_task(TaskCall("t", ID), CODEC, protocol=3)


# -- protocol 1 -------------------------------------------------------------------------------------------------------


def test_protocol_1_is_what_celery_sends() -> None:
    """WIRE 2"""
    message = encode_task(TaskCall("wtasks.add", ID, (2, 3)), CODEC, protocol=1)
    assert message.headers == {}
    assert message.body.decode() == (
        f'{{"task": "wtasks.add", "id": "{ID}", "args": [2, 3], "kwargs": {{}}, "group": null, "group_index": null, '
        '"retries": 0, "eta": null, "expires": null, "utc": true, "callbacks": null, "errbacks": null, '
        '"timelimit": [null, null], "taskset": null, "chord": null}'
    )


def test_protocol_1_becomes_protocol_2() -> None:
    sent = encode_task(full_call(chain=None), CODEC, protocol=1)
    message = normalize(sent, CODEC, ACCEPT)
    expected = encode_task(full_call(), CODEC).headers
    lost: dict[str, Any] = {"root_id": ID, "parent_id": None, "shadow": None, "origin": None, "ignore_result": None}
    lost |= {"replaced_task_nesting": 0, "stamped_headers": None, "stamps": {}}
    assert message.headers == {**expected, **lost}
    assert message.properties is sent.properties
    assert decode_body(message, CODEC, ACCEPT) == (
        [1, "ä"],
        {"k": b"\xff"},
        {**EMBED, "callbacks": [{"task": "cb"}], "errbacks": [{"task": "eb"}], "chord": {"task": "body"}},
    )
    assert normalize(message, CODEC, ACCEPT) is message


def test_a_chain_in_protocol_1_is_nested_callbacks() -> None:
    chain: list[dict[str, Any]] = [
        {"task": "third"},
        {"task": "second", "options": {"link": [{"task": "own"}], "queue": "q"}},
    ]
    call = TaskCall("first", ID, chain=chain, callbacks=[{"task": "cb"}])
    body = json.loads(encode_task(call, CODEC, protocol=1).body)
    assert body["callbacks"] == [
        {"task": "cb"},
        {"task": "second", "options": {"link": [{"task": "own"}, {"task": "third"}], "queue": "q"}},
    ]
    assert chain[1]["options"] == {"link": [{"task": "own"}], "queue": "q"}, "the caller's signature was changed"


def test_protocol_1_needs_a_name_and_an_id_and_nothing_else() -> None:
    """[B738-B742, B749, B974]"""
    message = normalize(message_of({}, {"task": "t", "id": ID}), CODEC, ACCEPT)
    assert (message.headers["task"], message.headers["retries"], message.headers["root_id"]) == ("t", 0, ID)
    assert decode_body(message, CODEC, ACCEPT) == ([], {}, EMBED)


def test_the_old_name_of_the_group_is_read() -> None:
    """[B745]"""
    message = normalize(message_of({}, {"task": "t", "id": ID, "taskset": "g"}), CODEC, ACCEPT)
    assert message.headers["group"] == "g"


def test_naive_times_of_protocol_1(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"task": "t", "id": ID, "eta": "2026-01-02T03:04:05"}
    assert normalize(message_of({}, body), CODEC, ACCEPT).headers["eta"] == "2026-01-02T03:04:05+00:00"
    local = normalize(message_of({}, {**body, "utc": False}), CODEC, ACCEPT).headers["eta"]
    assert dt.datetime.fromisoformat(local) == NAIVE.astimezone()


def test_pickled_protocol_1_stays_pickled() -> None:
    accept = CODEC.content_types(["pickle"])
    sent = encode_task(TaskCall("t", ID, ({1, 2},), serializer="pickle"), CODEC, protocol=1)
    with pytest.raises(ContentDisallowed):
        normalize(sent, CODEC, ACCEPT)
    message = normalize(sent, CODEC, accept)
    assert decode_body(message, CODEC, accept)[0] == [{1, 2}]


# -- sparse and damaged messages --------------------------------------------------------------------------------------


def test_the_headers_of_celery_node_are_completed() -> None:
    """WIRE 9.1"""
    sent = message_of({"lang": "js", "task": "t", "id": ID}, [[1], {"a": 2}, {}])
    message = normalize(sent, CODEC, ACCEPT)
    assert sent.headers == {"lang": "js", "task": "t", "id": ID}, "the original was changed"
    assert message.headers == {
        "lang": "js",
        "task": "t",
        "id": ID,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": ID,
        "parent_id": None,
        "argsrepr": "",
        "kwargsrepr": "",
        "origin": None,
        "ignore_result": None,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    assert decode_body(message, CODEC, ACCEPT) == ([1], {"a": 2}, EMBED)


def test_the_mix_of_both_protocols_is_read() -> None:
    """Headers of protocol 2 with a body of protocol 1, as Celery's ``hybrid_to_proto2`` takes them."""
    message = normalize(message_of({"task": "t", "id": ID}, {"args": [1], "kwargs": {}, "chord": 1}), CODEC, ACCEPT)
    assert decode_body(message, CODEC, ACCEPT) == ([1], {}, {**EMBED, "chord": 1})


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"task": "t"}, "'id'"),
        ({"task": "", "id": ID}, "'task'"),
        ({"task": 5, "id": ID}, "'task'"),
        ({"task": "t", "id": [1]}, "'id'"),
        ({"task": "t", "id": ID, "retries": "x"}, "'retries'"),
        ({"task": "t", "id": ID, "retries": float("inf")}, "'retries'"),
        ({"task": "t", "id": ID, "timelimit": 5}, "'timelimit'"),
        ({"task": "t", "id": ID, "timelimit": ["1", None]}, "'timelimit'"),
        ({"task": "t", "id": ID, "eta": "tomorrow"}, "'eta'"),
        ({"task": "t", "id": ID, "eta": 5}, "'eta'"),
        ({"task": "t", "id": ID, "expires": "never"}, "'expires'"),
        ({}, "no task message"),
    ],
)
def test_invalid_headers_say_what_is_wrong(headers: Any, text: str) -> None:
    """[B749, B974, B975]"""
    with pytest.raises(InvalidTaskError, match=text):
        normalize(message_of(headers, [[], {}, {}]), CODEC, ACCEPT)
    full = {**encode_task(TaskCall("t", ID), CODEC).headers, **headers}
    if headers.keys() > {"task"}:
        with pytest.raises(InvalidTaskError, match=text):
            normalize(message_of(full, [[], {}, {}]), CODEC, ACCEPT)


@pytest.mark.parametrize("body", [[], [1, 2], "abc", 5, None, {}, [1, {}, {}], [[], [], {}], [[], {}, 5], {"args": 5}])
def test_bodies_of_another_shape_are_refused(body: Any) -> None:
    message = normalize(message_of({"task": "t", "id": ID}, body), CODEC, ACCEPT)
    with pytest.raises(InvalidTaskError):
        decode_body(message, CODEC, ACCEPT)


@pytest.mark.parametrize("compression", ["application/x-gzip", "x/unknown", 5])
def test_bodies_that_are_not_compressed_as_they_say(compression: Any) -> None:
    message = Message(b"garbage", {"task": "t", "id": ID, "compression": compression})
    with pytest.raises(DecodeError):
        decode_body(normalize(message, CODEC, ACCEPT), CODEC, ACCEPT)


def test_a_bomb_is_refused() -> None:
    small = Codec(Host(), max_bytes=1000)
    body = zlib.compress(b"[[], {}, {}]" + b" " * 100_000)
    message = Message(body, {"task": "t", "id": ID, "compression": "application/x-gzip"})
    assert decode_body(message, CODEC, ACCEPT)[0] == []
    with pytest.raises(DecodeError, match="limit"):
        decode_body(message, small, ACCEPT)


def test_a_body_beyond_the_limit_is_not_decoded() -> None:
    message = Message(b"[[], {}, {}]" + b" " * 1000, {"task": "t", "id": ID})
    assert decode_body(message, CODEC, ACCEPT)[0] == []
    with pytest.raises(DecodeError, match=r"1012 bytes, and 1000 are the most.*task_max_body_bytes"):
        decode_body(message, Codec(Host(), max_bytes=1000), ACCEPT)


def test_times_are_read_with_and_without_offset() -> None:
    assert parse_time("2026-11-21T03:57:28.559282+00:00", "eta").timestamp() == 1795233448.559282
    assert parse_time("2026-11-21T03:57:28Z", "eta") == parse_time("2026-11-21T03:57:28", "eta")
    assert parse_time("2026-11-21T05:57:28+02:00", "eta") == parse_time("2026-11-21T03:57:28", "eta")


# -- properties -------------------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.none() | st.datetimes(min_value=NAIVE.replace(year=1971), timezones=st.timezones() | st.just(dt.UTC))


@given(
    args=st.lists(PLAIN),
    kwargs=st.dictionaries(st.text(), PLAIN, max_size=4),
    eta=TIMES,
    retries=st.integers(0, 100),
    protocol=st.sampled_from([1, 2]),
    compression=st.sampled_from([None, "gzip"]),
)
def test_any_call_arrives_by_either_protocol(
    args: Any, kwargs: Any, eta: Any, retries: int, protocol: int, compression: str | None
) -> None:
    call = TaskCall("t", ID, args, kwargs, eta=eta, retries=retries, compression=compression)
    message = normalize(encode_task(call, CODEC, protocol=protocol), CODEC, ACCEPT)
    assert decode_body(message, CODEC, ACCEPT) == (args, kwargs, EMBED)
    assert message.headers["retries"] == retries
    if eta is None:
        assert message.headers["eta"] is None
    else:
        assert parse_time(message.headers["eta"], "eta") == eta


@given(
    headers=st.dictionaries(
        st.sampled_from(["task", "id", "retries", "eta", "expires", "timelimit", "stamps", "compression", "x"]), PLAIN
    ),
    body=st.binary() | PLAIN.map(lambda value: CODEC.dumps(value, "json")[0]),
)
def test_no_message_raises_anything_but_what_is_promised(headers: Any, body: bytes) -> None:
    """Garbage on a queue: the worker parks it for its error."""
    try:
        decode_body(normalize(Message(body, headers), CODEC, ACCEPT), CODEC, ACCEPT)
    except (InvalidTaskError, DecodeError) as error:
        text = str(error)
    else:
        return
    assert 0 < len(text) < 3000
