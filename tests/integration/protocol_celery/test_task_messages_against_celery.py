"""Our task messages and Celery's are the same, byte by byte, and each side reads the other's."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from types import SimpleNamespace
from typing import Any

import kombu.compression
import kombu.serialization
import kombu.utils.json
import pytest
from celery.utils.saferepr import saferepr as celery_saferepr
from celery.worker.strategy import proto1_to_proto2
from hypothesis import given
from hypothesis import strategies as st

from umbel.host import Host
from umbel.model import Message, TaskCall
from umbel.protocol.codec import Codec
from umbel.protocol.reprs import saferepr
from umbel.protocol.tasks import decode_body, encode_task, normalize

CODEC = Codec(Host())
SERIALIZERS = ["json", "pickle", "yaml", "msgpack"]
ALL = CODEC.content_types(SERIALIZERS)
ID = "11111111-2222-3333-4444-555555555555"
ETA = dt.datetime(2026, 11, 21, 3, 57, 28, 559282, dt.UTC)
SIGNATURE: dict[str, Any] = {
    "task": "t",
    "args": [10],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
    "immutable": False,
}

#: Our field -> Celery's argument, and a value.
FIELDS: dict[str, tuple[str, Any]] = {
    "args": ("args", (1, "ä", {"a": [None, True]})),
    "kwargs": ("kwargs", {"k": 2.5}),
    "eta": ("eta", ETA),
    "expires": ("expires", ETA),
    "retries": ("retries", 3),
    "shadow": ("shadow", "other"),
    "group_id": ("group_id", "g"),
    "group_index": ("group_index", 2),
    "root_id": ("root_id", "r"),
    "parent_id": ("parent_id", "p"),
    "callbacks": ("callbacks", [SIGNATURE]),
    "errbacks": ("errbacks", [SIGNATURE]),
    "chain": ("chain", [SIGNATURE]),
    "chord": ("chord", SIGNATURE),
    "time_limit_s": ("time_limit", 20),
    "soft_time_limit_s": ("soft_time_limit", 10.5),
    "ignore_result": ("ignore_result", True),
    "reply_to": ("reply_to", "here"),
    "replaced_task_nesting": ("replaced_task_nesting", 1),
    "argsrepr": ("argsrepr", "(***)"),
    "kwargsrepr": ("kwargsrepr", "{***}"),
}
PROTOCOL_1_ONLY_IN_2 = {"chain"}  # Celery drops it there; we turn it into callbacks


def both(app: Any, protocol: int, names: Any, serializer: str = "json") -> tuple[Message, Any, bytes]:
    """Return our message, Celery's task message and its body as bytes, for a call with the fields *names*."""
    fields = {name: FIELDS[name][1] for name in names}
    ours = encode_task(
        TaskCall("wtasks.add", ID, **{"ignore_result": False, **fields}, serializer=serializer),
        CODEC,
        protocol=protocol,
        origin="gen1@h",
    )
    build = {1: app.amqp.as_task_v1, 2: app.amqp.as_task_v2}[protocol]
    origin = {"origin": "gen1@h"} if protocol == 2 else {}
    theirs = build(ID, "wtasks.add", **{FIELDS[name][0]: value for name, value in fields.items()}, **origin)
    _, _, body = kombu.serialization.dumps(theirs.body, serializer=serializer)
    return ours, theirs, body if isinstance(body, bytes) else body.encode()


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize(
    "names", [[], *([name] for name in FIELDS), list(FIELDS)], ids=lambda names: "+".join(names)[:20]
)
def test_messages_are_the_same(celery_app: Any, protocol: int, names: list[str], serializer: str) -> None:
    names = [name for name in names if protocol == 2 or name not in PROTOCOL_1_ONLY_IN_2]
    ours, theirs, body = both(celery_app, protocol, names, serializer)
    assert json.dumps(ours.headers) == json.dumps(theirs.headers)
    assert ours.body == body
    assert {name: ours.properties[name] for name in theirs.properties} == theirs.properties
    content_type, encoding, _ = kombu.serialization.dumps(None, serializer=serializer)
    assert (ours.content_type, ours.content_encoding) == (content_type, encoding)


def test_stamps_are_the_same(celery_app: Any) -> None:
    call = TaskCall("t", ID, ignore_result=False, stamped_headers=["myid"], stamps={"myid": "abc"})
    theirs = celery_app.amqp.as_task_v2(ID, "t", stamped_headers=["myid"], myid="abc", origin="o")
    assert encode_task(call, CODEC, origin="o").headers == theirs.headers


@pytest.mark.parametrize("names", [[], [name for name in FIELDS if name not in PROTOCOL_1_ONLY_IN_2]])
def test_protocol_1_is_turned_into_what_celerys_worker_turns_it_into(celery_app: Any, names: list[str]) -> None:
    _, theirs, body = both(celery_app, 1, names)
    message = normalize(Message(body, theirs.headers), CODEC, ALL)
    (args, kwargs, embed), headers, _, _ = proto1_to_proto2(SimpleNamespace(headers={}), json.loads(body))
    assert decode_body(message, CODEC, ALL) == (args, kwargs, embed)
    for name in ("task", "id", "group", "group_index", "retries", "eta", "expires", "timelimit"):
        assert message.headers[name] == headers[name], name


@pytest.mark.parametrize("name", ["gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "brotli", "zstd"])
def test_compression_is_kombus(name: str) -> None:
    if name not in kombu.compression._aliases:
        pytest.skip(f"this kombu has no {name}: its driver is another one than ours")
    data = b"to and fro " * 1000
    ours, content_type = CODEC.compress(data, name)
    theirs, their_type = kombu.compression.compress(data, name)
    assert content_type == their_type
    assert kombu.compression.decompress(ours, content_type) == data
    assert CODEC.decompress(theirs, content_type) == data


MARKED = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.dates(),
    st.times(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
VALUES = st.recursive(
    MARKED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_kombus_both_ways(value: Any) -> None:
    data = CODEC.dumps(value, "json")[0]
    assert data == kombu.utils.json.dumps(value).encode()
    assert CODEC.loads(data, "application/json") == kombu.utils.json.loads(data) == value


@pytest.mark.parametrize(
    "value", [{1}, dt.timedelta(1), object(), bytearray(b"x"), {(1, 2): 3}, decimal.Context(), uuid.UUID]
)
def test_json_refuses_what_kombu_refuses(value: Any) -> None:
    for dumps in (kombu.utils.json.dumps, Host().serializer("json").dumps):
        with pytest.raises(TypeError):
            dumps(value)


# Celery shows quotes, control characters and non-UTF-8 bytes raw or in its own way; we show them as Python does.
TAME = st.text(alphabet=st.characters(categories=["L", "N"]), max_size=20)
SHOWN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | TAME,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TAME, inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@given(st.lists(SHOWN, max_size=3).map(tuple), st.integers(min_value=1, max_value=4))
def test_representations_are_celerys(value: Any, maxlevels: int) -> None:
    text = celery_saferepr(value, 1024, maxlevels=maxlevels)
    if len(text) < 900:
        assert saferepr(value, 1024, maxlevels) == text
