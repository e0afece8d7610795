from __future__ import annotations

import datetime as dt
import json
import zlib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from umbel.exceptions import (
    ContentDisallowed,
    DecodeError,
    EncodeError,
    PluginNotFound,
    RemoteError,
    Retry,
    TaskRevokedError,
)
from umbel.host import Host
from umbel.model import TaskMeta
from umbel.protocol.codec import Codec
from umbel.protocol.results import ExtendedFields, decode_meta, encode_meta
from umbel.states import EXCEPTION_STATES

CODEC = Codec(Host())
ACCEPT = CODEC.content_types(["json"])
PICKLE = CODEC.content_types(["pickle"])
ID = "9288f0cd-96ca-402d-a0e3-46e8154a1884"
DONE = dt.datetime(2026, 11, 21, 3, 57, 35, 709174, dt.UTC)


class NotForPickles(Exception):
    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(detail)


class Kept(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.note = ""


class Unencodable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_a_success_is_what_celery_stores() -> None:
    """WIRE 5.1, to the byte."""
    meta = encode_meta(ID, "SUCCESS", 5, CODEC, date_done=DONE, retries=1, expires_s=60.0, reply_to="here")
    assert meta.payload.decode() == (
        '{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], '
        '"date_done": "2026-11-21T03:57:35.709174+00:00", "task_id": "9288f0cd-96ca-402d-a0e3-46e8154a1884"}'
    )
    assert (meta.task_id, meta.state, meta.content_type, meta.content_encoding) == (
        ID,
        "SUCCESS",
        "application/json",
        "utf-8",
    )
    assert (meta.attempt, meta.expires_s, meta.reply_to) == (1, 60.0, "here")


def test_a_failure_is_what_celery_stores() -> None:
    meta = encode_meta(ID, "FAILURE", ValueError("deliberate", 42), CODEC, traceback="Traceback ...", date_done=DONE)
    document = json.loads(meta.payload)
    assert document["result"] == {"exc_type": "ValueError", "exc_message": ["deliberate", 42], "exc_module": "builtins"}
    assert document["traceback"] == "Traceback ..."


def test_a_retry_keeps_why_and_no_date() -> None:
    """[B1061]"""
    why = Retry("Retry in 1s", KeyError("k"), 1)
    children = [((ID, None), None)]
    document = json.loads(encode_meta(ID, "RETRY", why, CODEC, children=children, date_done=DONE).payload)
    assert document["result"] == {"exc_type": "KeyError", "exc_message": ["k"], "exc_module": "builtins"}
    assert document["date_done"] is None
    assert document["children"] == [[[ID, None], None]]
    assert json.loads(encode_meta(ID, "RETRY", Retry("later"), CODEC).payload)["result"] is None


@pytest.mark.parametrize("state", ["STARTED", "RETRY", "PROGRESS", "REJECTED"])
def test_states_that_are_not_final_have_no_date(state: str) -> None:
    meta = encode_meta(ID, state, {"pid": 1}, CODEC)
    assert json.loads(meta.payload)["date_done"] is None
    assert not meta.is_final


def test_a_revocation_says_why() -> None:
    meta = encode_meta(ID, "REVOKED", TaskRevokedError("expired"), CODEC, children=None)
    document = json.loads(meta.payload)
    assert document["result"] == {
        "exc_type": "TaskRevokedError",
        "exc_message": ["expired"],
        "exc_module": "celery.exceptions",
    }
    assert document["children"] is None
    assert dt.datetime.fromisoformat(document["date_done"]).utcoffset() == dt.timedelta(0)


def test_extended_fields_stand_where_celery_has_them() -> None:
    extended = ExtendedFields(
        name="t",
        args=[1],
        kwargs={"k": 2},
        worker="w1@h",
        retries=3,
        queue="celery",
        stamped_headers=["myid", "absent"],
        stamps={"myid": "abc", "other": 1},
    )
    meta = encode_meta(ID, "SUCCESS", 5, CODEC, group_id="g", parent_id="p", extended=extended, date_done=DONE)
    assert list(json.loads(meta.payload)) == [
        *("status", "result", "traceback", "children", "date_done", "group_id", "parent_id"),
        *("name", "args", "kwargs", "worker", "retries", "queue", "stamped_headers", "myid", "task_id"),
    ]
    document = decode_meta(meta, CODEC, ACCEPT)
    assert (document.group_id, document.parent_id, document.name, document.args) == ("g", "p", "t", [1])
    assert (document.kwargs, document.worker, document.retries, document.queue) == ({"k": 2}, "w1@h", 3, "celery")
    assert (document.stamped_headers, document.stamps) == (["myid", "absent"], {"myid": "abc"})
    assert document.date_done == DONE


# -- what cannot be encoded -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml", "msgpack"])
def test_a_result_that_cannot_be_encoded_is_a_failure_that_says_so(serializer: str) -> None:
    """[B1003]"""
    meta = encode_meta(ID, "SUCCESS", [lambda: None], CODEC, serializer=serializer)
    assert meta.state == "FAILURE"
    document = decode_meta(meta, CODEC, frozenset({meta.content_type}))
    assert document.status == "FAILURE"
    assert type(document.result) is EncodeError
    assert ID in str(document.result)
    assert document.date_done is not None


def test_an_exception_whose_arguments_cannot_be_encoded_keeps_their_text() -> None:
    """[B1004, B1061]"""
    meta = encode_meta(ID, "FAILURE", ValueError("x", {1}, Unencodable()), CODEC)
    exc = decode_meta(meta, CODEC, ACCEPT).result
    assert type(exc) is ValueError
    assert exc.args == ("x", "{1}", "<Unrepresentable Unencodable: ZeroDivisionError>")


def test_a_progress_that_cannot_be_encoded_does_not_end_the_task() -> None:
    meta = encode_meta(ID, "PROGRESS", {1}, CODEC)
    assert (meta.state, decode_meta(meta, CODEC, ACCEPT).result) == ("PROGRESS", "{1}")


def test_the_rest_of_the_document_never_spoils_the_result() -> None:
    extended = ExtendedFields(name="t", args=({1},), kwargs={"k": Unencodable()})
    document = decode_meta(encode_meta(ID, "SUCCESS", 5, CODEC, children=[{1}], extended=extended), CODEC, ACCEPT)
    assert (document.status, document.result, document.children, document.args) == ("SUCCESS", 5, None, "({1},)")


def test_a_task_that_returns_a_result_stores_its_tuple() -> None:
    class Result:
        def as_tuple(self) -> Any:
            return ("other", None), None

    assert decode_meta(encode_meta(ID, "SUCCESS", Result(), CODEC), CODEC, ACCEPT).result == [["other", None], None]


def test_an_unknown_serializer_is_an_error_of_the_configuration() -> None:
    with pytest.raises(PluginNotFound):
        encode_meta(ID, "SUCCESS", 5, CODEC, serializer="jsno")


# -- pickles ----------------------------------------------------------------------------------------------------------


def test_a_pickle_holds_the_exception_itself() -> None:
    error = Kept(3)
    error.note = "kept"
    meta = encode_meta(ID, "FAILURE", error, CODEC, serializer="pickle")
    result = decode_meta(meta, CODEC, PICKLE).result
    assert (type(result), result.args, result.note) == (Kept, (3,), "kept")
    with pytest.raises(ContentDisallowed):
        decode_meta(meta, CODEC, ACCEPT)


@pytest.mark.parametrize("error", [NotForPickles(1, detail="x"), ValueError("x", lambda: None), EncodeError("x")])
def test_what_does_not_survive_a_pickle_goes_as_a_document(error: Exception) -> None:
    """[B1003, B1004]: some are written and not read, some are not written; ours are not for others to import."""
    meta = encode_meta(ID, "FAILURE", error, CODEC, serializer="pickle")
    raw = CODEC.loads(meta.payload, meta.content_type, "", PICKLE)
    assert raw["result"]["exc_type"] == type(error).__name__
    result = decode_meta(meta, CODEC, PICKLE).result
    assert type(result) is type(error)
    assert result.args[0] == "x"


# -- compression and damage -------------------------------------------------------------------------------------------


def test_compressed_results_are_marked_as_celery_marks_them() -> None:
    meta = encode_meta(ID, "SUCCESS", "x" * 10_000, CODEC, compression="gzip")
    head = b"\x00celery-compressed\x00application/x-gzip\x00"
    assert meta.payload.startswith(head)
    assert json.loads(zlib.decompress(meta.payload[len(head) :]))["result"] == "x" * 10_000
    assert decode_meta(meta, CODEC, ACCEPT).result == "x" * 10_000
    with pytest.raises(DecodeError, match="limit"):
        decode_meta(meta, Codec(Host(), max_bytes=1000), ACCEPT)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"{}",
        b'{"status": 5}',
        b"\x00celery-compressed\x00",
        b"\x00celery-compressed\x00x/y\x00z",
    ],
)
def test_what_is_no_result_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_meta(TaskMeta(ID, "SUCCESS", payload), CODEC, ACCEPT)


def test_a_damaged_date_or_exception_does_not_hide_the_rest() -> None:
    payload = b'{"status": "FAILURE", "result": "what", "date_done": "yesterday", "stamped_headers": 5}'
    document = decode_meta(TaskMeta(ID, "FAILURE", payload), CODEC, ACCEPT)
    assert (document.task_id, document.date_done, type(document.result)) == (ID, None, RemoteError)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates() | st.sets(st.integers()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    state=st.sampled_from(["SUCCESS", "FAILURE", "RETRY", "REVOKED", "STARTED", "OWN"]),
    result=VALUES
    | st.builds(ValueError, VALUES)
    | st.just(Unencodable())
    | st.builds(NotForPickles, VALUES, detail=VALUES),
    serializer=st.sampled_from(["json", "pickle", "yaml", "msgpack"]),
)
def test_every_outcome_can_be_stored_and_read(state: str, result: Any, serializer: str) -> None:
    # Returned (not raised), a pickle that cannot be read is the task's own doing, and found out by who reads it.
    assume(not (isinstance(result, NotForPickles) and serializer == "pickle" and state not in EXCEPTION_STATES))
    meta = encode_meta(ID, state, result, CODEC, serializer=serializer)
    document = decode_meta(meta, CODEC, frozenset({meta.content_type}))
    assert document.status == meta.state
    assert meta.state == state or (state, meta.state) == ("SUCCESS", "FAILURE")
    assert document.task_id == ID
