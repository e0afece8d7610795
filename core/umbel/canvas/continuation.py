"""What follows the end of a task: callbacks, the next step of its chain, its part of a chord, its errbacks.

Called by the worker where the task ran; nothing here talks to a broker or a store. The publications leave with the
commit that stores the task's own result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.canvas.freezing import freeze
from umbel.canvas.planning import plan
from umbel.context import ERRBACK_HEADER, Context
from umbel.exceptions import ChordError, EncodeError
from umbel.model import ChordPart, JoinedChord, Publication, TaskMeta
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.protocol.reprs import saferepr
from umbel.protocol.results import encode_meta
from umbel.states import FAILURE, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["after_failure", "after_success", "chord_body", "chord_part"]

logger = logging.getLogger(__name__)

_JSON: Final = "application/json"


def after_success(app: Umbel, request: Context, result: object) -> list[Publication]:
    """Return what a successful task sends: its callbacks and the next step of its chain, each given *result*.

    The results of what is sent are appended to ``request.children``, as tuples: call this before the task's own meta is
    encoded. Raises :class:`~umbel.exceptions.EncodeError` when *result* cannot travel as an argument.
    """
    if not request.callbacks and not request.chain:
        return []
    publications: list[Publication] = []
    for callback in request.callbacks or ():
        publications += _send_next(app, request, callback, result, {})
    if request.chain:
        *rest, following = request.chain
        publications += _send_next(app, request, following, result, {"chain": rest} if rest else {})
    return publications


def _send_next(
    app: Umbel, request: Context, following: Mapping[str, Any], result: object, options: dict[str, Any]
) -> list[Publication]:
    frozen, child = freeze(app, following)
    request.children.append(child.as_tuple())
    return app.workflows.prepare_calls(plan(frozen, (result,), None, {**_inherited(app, request), **options}))


def _inherited(app: Umbel, request: Context) -> dict[str, Any]:
    """What the next message has from this one: where it stems from, and who waits for the end."""
    inherited: dict[str, Any] = {"parent_id": request.id, "root_id": request.root_id or request.id}
    if request.reply_to:
        inherited["reply_to"] = request.reply_to
    if app.conf.task_inherit_parent_priority and request.delivery_info:
        inherited["priority"] = request.delivery_info.get("priority")
    return inherited


# -- failure ----------------------------------------------------------------------------------------------------------


def after_failure(app: Umbel, request: Context, exc: BaseException, traceback: str | None) -> list[Publication]:
    """Return what a failed (or revoked, or lost) task sends: its errbacks.

    An errback that takes several arguments is called as ``errback(request, exc, traceback)``, any other one (and one
    that is not registered here) with the id of the failed task. Never raises: what cannot be sent is logged, and the
    other errbacks are sent.
    """
    publications: list[Publication] = []
    for errback in request.errbacks or ():
        try:
            publications += _send_errback(app, request, errback, exc, traceback)
        except Exception:  # one broken errback must not stop the others, nor hide the failure itself
            logger.exception("errback %s of task %s[%s] cannot be sent", saferepr(errback), request.task, request.id)
    return publications


def _send_errback(
    app: Umbel, request: Context, errback: Mapping[str, Any], exc: BaseException, traceback: str | None
) -> list[Publication]:
    frozen, _ = freeze(app, errback)
    options = _inherited(app, request)
    task = None if frozen["subtask_type"] else app.tasks.get(frozen["task"])
    if task is None or frozen["immutable"] or not task.parameters.takes_several:
        return app.workflows.prepare_calls(plan(frozen, (request.id,), None, options))
    headers = {**(frozen["options"].get("headers") or {}), ERRBACK_HEADER: 1}
    options["headers"] = headers
    error = exception_to_wire(exc, lambda value: isinstance(value, str | int | float | bool | None))
    try:
        document = request.as_document()
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options))
    except EncodeError:
        document = {**request.as_document(), "args": None, "kwargs": None}  # their texts are in it too
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options))


# -- chords -----------------------------------------------------------------------------------------------------------


def chord_part(app: Umbel, request: Context, state: str, value: object) -> ChordPart | None:
    """Return the part that this member adds to its chord; ``None`` outside of a chord.

    *value* is the result, or the exception when *state* is not SUCCESS. Raises
    :class:`~umbel.exceptions.EncodeError` when a result cannot travel.
    """
    body = request.chord
    if not body or request.group is None or request.id is None:
        return None
    if isinstance(value, BaseException):
        value = exception_to_wire(value, lambda arg: isinstance(arg, str | int | float | bool | None))
    serializer = app.conf.result_serializer
    return ChordPart(
        request.group,
        request.id,
        request.group_index,
        state,
        _pack(app, value, serializer),
        _pack(app, body, serializer),
        body.get("chord_size"),
        app.results.chord_expires_s,
    )


def _pack(app: Umbel, value: object, serializer: str) -> bytes:
    """Return *value* as JSON, or in another serializer's form behind its content type."""
    data, content_type, _ = app.codec.dumps(value, serializer)
    return data if content_type == _JSON else b"\x00" + content_type.encode() + b"\x00" + data


def _unpack(app: Umbel, payload: bytes) -> Any:
    content_type = _JSON
    if payload.startswith(b"\x00"):
        name, _, payload = payload[1:].partition(b"\x00")
        content_type = name.decode("ascii", "replace")
    return app.codec.loads(payload, content_type, "", app.results.accepted)


def chord_body(app: Umbel, joined: JoinedChord) -> tuple[list[Publication], list[TaskMeta]]:
    """Return what ends a chord whose members are all in: the body to send, or its failure and its errbacks.

    With every member successful the body gets the list of results; else a ``ChordError`` naming the first member that
    failed is stored as the body's result and the body's errbacks are sent.
    """
    body = _unpack(app, joined.body)
    failed = next((part for part in joined.parts if part.state != SUCCESS), None)
    if failed is not None:
        error = exception_from_wire(_unpack(app, failed.payload))
        return _fail_body(app, body, ChordError(f"Dependency {failed.task_id} raised {error!r}"))
    results = [_unpack(app, part.payload) for part in joined.parts]
    frozen, _ = freeze(app, body)
    try:
        return app.workflows.prepare_calls(plan(frozen, (results,))), []
    except EncodeError as error:
        return _fail_body(app, body, ChordError(f"the results cannot be sent to the body: {error}"))


def _fail_body(app: Umbel, body: Mapping[str, Any], error: ChordError) -> tuple[list[Publication], list[TaskMeta]]:
    frozen, _ = freeze(app, body)
    publications: list[Publication] = []
    metas: list[TaskMeta] = []
    for task in _tasks(frozen):
        options = task["options"]
        errbacks = options.get("link_error")
        request = Context(
            id=options["task_id"],
            task=task["task"],
            root_id=options.get("root_id"),
            group=options.get("group_id"),
            reply_to=options.get("reply_to"),
            errbacks=[errbacks] if isinstance(errbacks, Mapping) else errbacks,
        )
        metas.append(
            encode_meta(
                options["task_id"],
                FAILURE,
                error,
                app.codec,
                serializer=app.conf.result_serializer,
                group_id=options.get("group_id"),
                expires_s=app.results.expires_s,
                reply_to=options.get("reply_to"),
            )
        )
        publications += after_failure(app, request, error, None)
    return publications, metas


def _tasks(frozen: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the single tasks of a frozen signature: those whose results somebody may wait for."""
    kind = frozen["subtask_type"]
    if kind in {"chain", "group"}:
        return [task for part in frozen["kwargs"]["tasks"] for task in _tasks(part)]
    return _tasks(frozen["kwargs"]["body"]) if kind == "chord" else [frozen]
