"""Our result documents and exceptions and Celery's are the same, and each side reads the other's."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import billiard.exceptions
import celery.exceptions
import pytest
from celery.backends.base import compress_payload
from celery.backends.cache import CacheBackend

import umbel.exceptions as ours
from umbel.host import Host
from umbel.model import TaskMeta
from umbel.protocol.codec import Codec
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.protocol.results import ExtendedFields, decode_meta, encode_meta

CODEC = Codec(Host())
ACCEPT = CODEC.content_types(["json", "pickle"])
ID = "9288f0cd-96ca-402d-a0e3-46e8154a1884"


class Own(Exception):
    pass


def request(**fields: Any) -> Any:
    plain: dict[str, Any] = {"group": None, "parent_id": None, "children": [], "delivery_info": None, "stamps": None}
    return SimpleNamespace(**{**plain, **fields})


@pytest.fixture(params=["json", "pickle"])
def backend(celery_app: Any, request: pytest.FixtureRequest) -> Any:
    return CacheBackend(celery_app, backend="memory", serializer=request.param)


def celery_meta(backend: Any, state: str, result: Any, req: Any, traceback: Any = None) -> dict[str, Any]:
    """Return what Celery's key-value backends store, as in its ``_store_result``."""
    encoded = backend.encode_result(result, state)
    return {**backend._get_result_meta(encoded, state, traceback, req), "task_id": ID}


def our_meta(backend: Any, state: str, result: Any, **fields: Any) -> TaskMeta:
    return encode_meta(ID, state, result, CODEC, serializer=backend.serializer, **fields)


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("SUCCESS", 5),
        ("SUCCESS", {"a": [1, None, "ä"]}),
        ("FAILURE", ValueError("deliberate", 42)),
        ("FAILURE", Own("x", b"\xff")),
        ("RETRY", KeyError("k")),
        ("STARTED", {"pid": 15160, "hostname": "w1@host"}),
        ("PROGRESS", {"done": 3}),
    ],
)
def test_documents_are_the_same(backend: Any, state: str, result: Any) -> None:
    req = request(group="g", parent_id="p", children=[SimpleNamespace(as_tuple=lambda: (("c", None), None))])
    theirs = celery_meta(backend, state, result, req, "Traceback")
    meta = our_meta(
        backend, state, result, traceback="Traceback", group_id="g", parent_id="p", children=[(("c", None), None)]
    )
    raw = backend.decode(meta.payload)
    expected = backend.decode(backend.encode(theirs))
    assert list(raw) == list(expected)
    for one in (raw, expected):
        assert (one.pop("date_done") is not None) == (state in {"SUCCESS", "FAILURE"})
        if isinstance(one["result"], Exception):
            one["result"] = (type(one["result"]), one["result"].args)
    assert raw == expected


def test_extended_documents_are_the_same(celery_app: Any) -> None:
    celery_app.conf.result_extended = True
    try:
        backend = CacheBackend(celery_app, backend="memory", serializer="json")
        req = request(
            task="t",
            args=[1],
            kwargs={"k": 2},
            hostname="w1@h",
            retries=1,
            delivery_info={"routing_key": "celery"},
            stamps={"myid": "abc"},
            stamped_headers=["myid"],
        )
        theirs = json.loads(backend.encode(celery_meta(backend, "STARTED", None, req)))
    finally:
        celery_app.conf.result_extended = False
    extended = ExtendedFields(
        name="t",
        args=[1],
        kwargs={"k": 2},
        worker="w1@h",
        retries=1,
        queue="celery",
        stamped_headers=["myid"],
        stamps={"myid": "abc"},
    )
    mine = json.loads(encode_meta(ID, "STARTED", None, CODEC, extended=extended).payload)
    assert list(mine.items()) == list(theirs.items())


@pytest.mark.parametrize(
    "exc",
    [ValueError("deliberate", 42), KeyError("k"), Own("x"), ZeroDivisionError(), UnicodeError("x"), OSError(2, "no")],
)
def test_each_side_rebuilds_the_others_exceptions(backend: Any, exc: Exception) -> None:
    theirs = backend.decode_result(our_meta(backend, "FAILURE", exc).payload)["result"]
    payload = backend.encode(celery_meta(backend, "FAILURE", exc, request()))
    data = payload if isinstance(payload, bytes) else payload.encode()
    mine = decode_meta(TaskMeta(ID, "FAILURE", data, backend.content_type), CODEC, ACCEPT).result
    for again in (theirs, mine):
        assert type(again) is type(exc)
        assert again.args == exc.args


SHARED = [
    *("Ignore", "ImproperlyConfigured", "SecurityError", "QueueNotFound", "NotRegistered", "AlreadyRegistered"),
    *(
        "IncompleteStream",
        "TimeoutError",
        "MaxRetriesExceededError",
        "TaskRevokedError",
        "InvalidTaskError",
        "ChordError",
    ),
    *("Reject", "Retry", "TaskError", "TaskPredicate", "BackendError"),
]
BILLIARD = ["TimeLimitExceeded", "SoftTimeLimitExceeded", "WorkerLostError", "Terminated"]


@pytest.mark.parametrize(
    ("module", "name"),
    [*((celery.exceptions, name) for name in SHARED), *((billiard.exceptions, name) for name in BILLIARD)],
)
def test_framework_errors_change_sides(celery_app: Any, module: Any, name: str) -> None:
    """WIRE 9.5: a Celery client gets its own class, we get ours."""
    backend = CacheBackend(celery_app, backend="memory", serializer="json")
    our_class, their_class = getattr(ours, name), getattr(module, name)
    theirs = backend.exception_to_python(exception_to_wire(our_class("why")))
    assert type(theirs) is their_class
    mine = exception_from_wire(json.loads(json.dumps(exception_to_wire(our_class("why")))))
    assert type(mine) is our_class
    if name != "Retry":  # which holds itself among its arguments there, and is never stored
        assert type(exception_from_wire(backend.prepare_exception(their_class("why")))) is our_class


def test_our_other_errors_have_stand_ins_of_their_name_there(celery_app: Any) -> None:
    backend = CacheBackend(celery_app, backend="memory", serializer="json")
    for name in ours.__all__:
        kind = getattr(ours, name)
        if issubclass(kind, Exception):
            again = backend.exception_to_python(exception_to_wire(kind("x")))
            assert type(again).__name__ == {"UmbelError": "CeleryError"}.get(name, name)


def test_a_result_that_could_not_be_encoded_is_kombus_error_there(celery_app: Any) -> None:
    import kombu.exceptions

    backend = CacheBackend(celery_app, backend="memory", serializer="json")
    document: Any = backend.decode_result(encode_meta(ID, "SUCCESS", {1}, CODEC).payload)
    assert document["status"] == "FAILURE"
    assert type(document["result"]) is kombu.exceptions.EncodeError


@pytest.mark.parametrize("name", ["gzip", "bzip2", "lzma", "brotli"])
def test_compressed_results_are_read_by_both(backend: Any, name: str) -> None:
    ours_compressed = our_meta(backend, "SUCCESS", "x" * 5000, compression=name)
    assert backend.decode(ours_compressed.payload)["result"] == "x" * 5000
    data = compress_payload(backend._encode(celery_meta(backend, "SUCCESS", "x" * 5000, request()))[2], name)
    assert decode_meta(TaskMeta(ID, "SUCCESS", data, backend.content_type), CODEC, ACCEPT).result == "x" * 5000


def test_a_pickled_wrapper_of_celerys_is_unwrapped(celery_app: Any) -> None:
    """[B915, B1004]"""
    backend = CacheBackend(celery_app, backend="memory", serializer="pickle")
    exc = ValueError("x", lambda: None)
    data = backend.encode({"status": "FAILURE", "result": backend.prepare_exception(exc)})
    result = decode_meta(TaskMeta(ID, "FAILURE", data, backend.content_type), CODEC, ACCEPT).result
    assert type(result).__name__ == "ValueError"
    assert result.args[0] == "x"
