"""Field tables and frames: what ours write py-amqp reads, and the reverse."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import Any

import amqp
import pytest
from amqp import serialization
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import TransportError
from umbel.model import Message
from umbel_transport_amqp.frames import parse_header, publish_frames, publish_method
from umbel_transport_amqp.tables import decode_table, encode_table

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=40), inner), max_leaves=15
)
_TABLES = st.dictionaries(st.text(max_size=60), _VALUES, max_size=12)


def decoded(data: bytes) -> dict[str, Any]:
    assert struct.unpack_from(">I", data)[0] == len(data) - 4
    return decode_table(data, 4, len(data))


@given(_TABLES)
def test_a_table_comes_back_as_it_went(table: dict[str, Any]) -> None:
    assert decoded(encode_table(table)) == table


@given(_TABLES)
def test_py_amqp_reads_our_tables(table: dict[str, Any]) -> None:
    values, _ = serialization.loads("F", encode_table(table), 0)
    assert values == [table]


@given(_TABLES)
def test_we_read_the_tables_of_py_amqp(table: dict[str, Any]) -> None:
    assert decoded(serialization.dumps("F", (table,))) == table


def test_the_rarer_types() -> None:
    moment = dt.datetime(2026, 11, 21, 4, 5, 6, tzinfo=dt.UTC)
    table = {"when": moment, "price": Decimal("1.25"), "raw": b"\xff\x00"}
    assert decoded(encode_table(table)) == table


@pytest.mark.parametrize(
    ("letter", "code", "value"), [("i", "I", 2**32 - 1), ("s", "h", -2), ("b", "b", -3), ("B", "B", 200)]
)
def test_types_that_only_others_write(letter: str, code: str, value: int) -> None:
    pair = b"\x01k" + letter.encode() + struct.pack(">" + code, value)
    assert decode_table(pair, 0, len(pair)) == {"k": value}


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**63, float])
def test_what_amqp_has_no_type_for_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match="header 'h'"):
        encode_table({"h": value})


def test_an_unknown_type_is_an_error() -> None:
    with pytest.raises(TransportError, match="field tables"):
        decode_table(b"\x01kZ", 0, 3)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(TransportError, match="255 bytes"):
        publish_method(1, "", "x" * 256, mandatory=False)


PROPERTIES = {
    "delivery_mode": 1,
    "correlation_id": "an id",
    "reply_to": "me",
    "message_id": "m",
    "timestamp": 1_790_000_000,
    "type": "t",
    "app_id": "a",
}


def header_of(frames: bytes) -> bytes:
    """Return the payload of the second frame."""
    at = 8 + struct.unpack_from(">I", frames, 3)[0]
    size = struct.unpack_from(">I", frames, at + 3)[0]
    return frames[at + 7 : at + 7 + size]


def test_py_amqp_reads_our_properties() -> None:
    message = Message(b"body", {"h": 1}, dict(PROPERTIES), "text/x", "binary")
    header = header_of(publish_frames(3, 131072, publish_method(3, "e", "k", mandatory=True), message, 7, "60000"))
    read = amqp.Message()
    read.inbound_header(header)
    assert read.body_size == 4
    assert read.properties == {
        **PROPERTIES,
        "content_type": "text/x",
        "content_encoding": "binary",
        "application_headers": {"h": 1},
        "priority": 7,
        "expiration": "60000",
    }


def test_we_read_the_properties_of_py_amqp() -> None:
    sent = amqp.Message(
        "", content_type="text/x", priority=3, expiration="5", application_headers={"h": [1]}, **PROPERTIES
    )
    payload = struct.pack(">HHQ", 60, 0, 9) + sent._serialize_properties()
    size, message = parse_header(payload)
    assert (size, message.headers, message.content_type) == (9, {"h": [1]}, "text/x")
    assert message.properties == {**PROPERTIES, "priority": 3, "expiration": "5"}


def test_properties_that_amqp_has_no_place_for_come_back() -> None:
    message = Message(b"", {}, {"x-own": [1], "shadow": None, "delivery_mode": 2})
    header = header_of(publish_frames(1, 131072, publish_method(1, "", "k", mandatory=False), message, 0, None))
    _, read = parse_header(header)
    assert read.headers == {}
    assert read.properties == {"x-own": [1], "shadow": None, "delivery_mode": 2, "priority": 0}


def test_a_large_body_is_cut_to_the_frame_size() -> None:
    body = bytes(range(256)) * 40
    frames = publish_frames(1, 4096, publish_method(1, "", "k", mandatory=False), Message(body), 0, None)
    at, pieces = 0, []
    while at < len(frames):
        kind, _, size = struct.unpack_from(">BHI", frames, at)
        assert size + 8 <= 4096
        assert frames[at + 7 + size] == 0xCE
        if kind == 3:
            pieces.append(frames[at + 7 : at + 7 + size])
        at += 8 + size
    assert b"".join(pieces) == body
    assert len(pieces) == 3
