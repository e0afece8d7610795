"""Headers that are written and read after the likeness of earlier ones, and deliveries taken many at once: nothing differs."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from umbel.model import Delivery, Message, Queue
from umbel_transport_amqp.frames import publish_frames, publish_method
from umbel_transport_amqp.inbox import Inbox
from umbel_transport_amqp.tables import _decode_in_full, _encode_in_full, decode_table, encode_table

_TEXT = st.text(max_size=12)
#: Headers of a task as Celery and Umbel write them; few values each, so that likenesses are found and missed.
_HEADERS = st.fixed_dictionaries(
    {
        "lang": st.sampled_from(["py", "js"]),
        "task": st.sampled_from(["tasks.add", "tasks.mul", "ünïcode"]),
        "id": _TEXT,
        "shadow": st.sampled_from([None, "other"]),
        "eta": st.sampled_from([None, "2026-11-21T03:57:28.559282+00:00"]),
        "group_index": st.sampled_from([None, 0, 7, -1, 2**31, 1.0]),
        "retries": st.sampled_from([0, 1, False, 0.0]),
        "timelimit": st.sampled_from([[None, None], [None, 20.5], (None, None)]),
        "argsrepr": st.one_of(st.none(), _TEXT),
        "ignore_result": st.sampled_from([False, True, None, 0]),
        "stamps": st.sampled_from([{}, {"a": [1]}]),
    },
    optional={"x-own": _TEXT, "parent_id": _TEXT},
)


def kinds(value: Any) -> Any:
    """Return *value* with the types of all that is in it, since 0, False and 0.0 are equal."""
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [kinds(each) for each in value]
    return type(value), value


@given(st.lists(_HEADERS, min_size=1, max_size=8))
def test_likenesses_change_no_byte_and_no_value(tables: list[dict[str, Any]]) -> None:
    for table in tables:
        written = encode_table(table)
        assert written == _encode_in_full(table)
        read = decode_table(b"before" + written, 10, len(written) + 6)
        assert kinds(read) == kinds(table)
        assert list(read) == list(table)


@given(_HEADERS, st.data())
def test_a_damaged_table_is_read_no_other_way(table: dict[str, Any], data: st.DataObject) -> None:
    written = encode_table(table)
    decode_table(written, 4, len(written))  # learns it
    at = data.draw(st.integers(4, len(written) - 1))
    damaged = written[:at] + bytes([data.draw(st.integers(0, 255))]) + written[at + 1 :]

    def outcome(read: Any) -> Any:
        try:
            return kinds(read(damaged, 4, len(damaged)))
        except Exception as error:
            return type(error)

    assert repr(outcome(decode_table)) == repr(outcome(_decode_in_full))


def test_what_is_read_shares_nothing() -> None:
    written = encode_table({"lang": "py", "task": "tasks.shared", "id": "1", "timelimit": [None, None], "stamps": {}})
    first, second = (decode_table(written, 4, len(written)) for _ in range(2))
    first["stamps"]["a"] = 1
    first["timelimit"].append(1)
    third = decode_table(written, 4, len(written))
    assert second["stamps"] == third["stamps"] == {}
    assert second["timelimit"] == third["timelimit"] == [None, None]


# -- deliveries -------------------------------------------------------------------------------------------------------


def delivered(number: int, body: bytes, headers: dict[str, Any]) -> bytes:
    """Return the frames in which the broker delivers a message."""
    frames = publish_frames(7, 100, publish_method(7, "", "q", mandatory=False), Message(body, headers), 3, None)
    behind = 8 + struct.unpack_from(">I", frames, 3)[0]
    method = b"\x00\x3c\x00\x3c\x03tag" + struct.pack(">Q?", number, False) + b"\x00\x01q"
    return struct.pack(">BHI", 1, 7, len(method)) + method + b"\xce" + frames[behind:]


def frames_in(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    if len(data) - at < 8:
        return None
    kind, _, size = struct.unpack_from(">BHI", data, at)
    end = at + 8 + size
    return (kind, data[at + 7 : end - 1], end) if end <= len(data) else None


def taken(pieces: list[bytes], *, in_runs: bool) -> list[Delivery]:
    inbox = Inbox(1, 7, {"tag": Queue(name="q")})
    data, at = b"", 0
    for piece in pieces:
        data, at = data[at:] + piece, 0
        while True:
            at = inbox.take_run(data, at) if in_runs else at
            frame = frames_in(data, at)
            if frame is None:
                break
            kind, payload, at = frame
            assert inbox.take(kind, payload) is not None
    assert not data[at:]
    return list(inbox.arrived)


_BODIES = st.one_of(st.just(b""), st.binary(max_size=90), st.binary(min_size=100, max_size=400))


@given(st.lists(st.tuples(_BODIES, st.booleans()), max_size=12), st.data())
def test_deliveries_are_the_same_however_they_come(messages: list[tuple[bytes, bool]], data: st.DataObject) -> None:
    headers = {"lang": "py", "task": "t"}
    stream = b"".join(delivered(n + 1, body, headers if short else {}) for n, (body, short) in enumerate(messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for in_runs in (True, False):
        found = taken(pieces, in_runs=in_runs)
        assert [delivery.message.body for delivery in found] == [body for body, _ in messages]
        assert [delivery.tag for delivery in found] == [(1, n + 1) for n in range(len(messages))]
        assert {delivery.queue for delivery in found} <= {"q"}


def test_headers_that_cannot_be_read_make_a_delivery_with_an_error() -> None:
    whole = delivered(1, b"body", {"h": "text"})
    assert whole.count(b"\x01hS") == 1
    broken = whole.replace(b"\x01hS", b"\x01hZ")
    for in_runs in (True, False):
        [delivery, after] = taken([broken + delivered(2, b"next", {})], in_runs=in_runs)
        assert (delivery.message.body, delivery.error is not None) == (b"body", True)
        assert (after.message.body, after.error) == (b"next", None)
