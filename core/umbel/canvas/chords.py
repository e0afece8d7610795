"""How chords end, and everything else that waits for a task: each end of a member has a defined effect on the whole.

A member of a header adds its part, whatever became of it. The chord's end is the body, called with the results in the
header's order, or the body's failure (:class:`~umbel.exceptions.ChordError`) when a member had none. A step that is
never reached, because one before it failed, ends with the exception of that one, and tells the chord it stands in.
Nothing here talks to a broker or a store; the worker's commit does what is returned.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import DerivedIds
from umbel.canvas.continuation import after_failure, is_plain
from umbel.canvas.freezing import OF_THE_LAST, freeze, single_tasks
from umbel.canvas.planning import plan
from umbel.context import Context
from umbel.exceptions import ChordError
from umbel.model import ChordPart, Commit, JoinedChord, TaskMeta
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.protocol.results import encode_meta
from umbel.states import FAILURE, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results import ResultSet

__all__ = ["after_end", "chord_body", "chord_part", "end_chord"]

logger = logging.getLogger(__name__)

_JSON: Final = "application/json"


# -- a member's part --------------------------------------------------------------------------------------------------


def chord_part(app: Umbel, request: Context, state: str, value: object) -> ChordPart | None:
    """Return the part that this member adds to its chord; ``None`` outside of a chord.

    *value* is the result, or the exception when *state* is not SUCCESS. Raises
    :class:`~umbel.exceptions.EncodeError` when a result cannot travel.
    """
    if not request.chord or request.group is None or request.id is None:
        return None
    place = {"chord": request.chord, "group_id": request.group, "group_index": request.group_index}
    # Members that it has added leave with its success only.
    return _part(app, request.id, place, state, value, request.chord_extra if state == SUCCESS else 0)


def _part(
    app: Umbel, task_id: str, place: Mapping[str, Any], state: str, value: object, extra: int = 0
) -> ChordPart | None:
    if not app.results.stores:
        logger.error(
            "member %s of chord %s cannot be counted and its body will not run: this worker keeps no results; set "
            "result_backend as in the program that sent the chord",
            task_id,
            place["group_id"],
        )
        return None
    if isinstance(value, BaseException):
        value = exception_to_wire(value, is_plain)
    serializer = app.conf.result_serializer
    body = place["chord"]
    return ChordPart(
        place["group_id"],
        task_id,
        place.get("group_index"),
        state,
        _pack(app, value, serializer),
        _pack(app, body, serializer),
        body.get("chord_size"),
        app.results.chord_expires_s,
        extra,
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


# -- the end of a task that has no result -----------------------------------------------------------------------------


def after_end(
    app: Umbel,
    request: Context,
    state: str,
    error: BaseException,
    traceback: str | None = None,
    *,
    errbacks: bool = True,
) -> Commit:
    """Return what the end of *request* without a result asks for, its own result apart.

    Its errbacks are called, the steps that follow it in a chain end with it, and the chord that it (or the last of
    these steps) stands in is told. Never raises: what cannot be done is logged.
    """
    ended = Commit()
    if errbacks and request.errbacks:
        ended.publications.extend(after_failure(app, request, error, traceback))
    following: list[Any] = list(request.chain or ())
    try:
        for step in reversed(following):
            ended.metas.extend(_ends(app, step, state, error))
        part = _last_part(app, following[0], state, error) if following else None
        if part is None:
            part = chord_part(app, request, state, error)
        if part is not None:
            ended.parts.append(part)
    except Exception:  # a signature that somebody else made, and made wrong
        logger.exception("what waits for task %s[%s] cannot be told of its end", request.task, request.id)
    return ended


def _ends(app: Umbel, signature: Mapping[str, Any], state: str, error: BaseException) -> Iterator[TaskMeta]:
    """Yield the results of all single tasks of *signature*, which will never run."""
    if not app.results.stores:
        return
    conf = app.conf
    for single in single_tasks(signature):
        options = single.get("options") or {}
        task = app.tasks.get(str(single.get("task")))
        ignores = options.get("ignore_result")
        if ignores is None and task is not None:
            ignores = task.ignore_result
        if ignores or not options.get("task_id") or (task is not None and task.backend_url is not None):
            continue
        yield encode_meta(
            options["task_id"],
            state,
            error,
            app.codec,
            serializer=conf.result_serializer,
            group_id=options.get("group_id"),
            compression=conf.result_compression,
            expires_s=app.results.expires_s,
            reply_to=options.get("reply_to"),
        )


def _last_part(app: Umbel, signature: Mapping[str, Any], state: str, error: BaseException) -> ChordPart | None:
    """Return the part of the chord in whose header *signature* is the end of a member, if it is."""
    task_id, place = _end(signature, {})
    if task_id is None or place.get("chord") is None or place.get("group_id") is None:
        return None
    return _part(app, task_id, place, state, error)


def _end(signature: Mapping[str, Any], outer: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """Return the id of the task that *signature* ends with, as it is when it runs, and its place in a header."""
    options = signature.get("options") or {}
    following = options.get("chain")
    if following:
        return _end(following[0], outer)
    place = {**options, **{name: outer[name] for name in OF_THE_LAST if outer.get(name) is not None}}
    kind = signature.get("subtask_type")
    if kind == "chain":
        return _end(signature["kwargs"]["tasks"][-1], place)
    if kind == "chord":
        return _end(signature["kwargs"]["body"], place)
    return options.get("task_id") if kind == "group" else place.get("task_id"), place


# -- the end of a chord -----------------------------------------------------------------------------------------------


def chord_body(app: Umbel, joined: JoinedChord) -> Commit:
    """Return what ends a chord whose members are all in: the body to send, or its failure and its errbacks.

    With every member successful the body gets the list of results; else a ``ChordError`` naming the first member that
    failed is stored as the body's result, the body's errbacks are sent, and a chord around this one is told. So it is
    for a body that cannot be sent. Raises for a body that cannot even be read.
    """
    body = _unpack(app, joined.body)
    try:
        failed = next((part for part in joined.parts if part.state != SUCCESS), None)
        if failed is not None:
            error = exception_from_wire(_unpack(app, failed.payload))
            return _fail_body(app, joined, body, ChordError(f"Dependency {failed.task_id} raised {error!r}"))
        results = [_unpack(app, part.payload) for part in joined.parts]
        frozen, _ = freeze(app, body, new=DerivedIds(joined.group_id))
        parent_id = joined.parts[-1].task_id if joined.parts else None
        return Commit(
            publications=app.workflows.prepare_calls(plan(frozen, (results,), None, {"parent_id": parent_id}))
        )
    except Exception as error:  # a result that cannot be an argument, a queue that does not exist, a router that raised
        return _fail_body(app, joined, body, ChordError(f"the body cannot be called with the results: {error!r}"))


def end_chord(app: Umbel, group_id: str, body: Mapping[str, Any], members: ResultSet) -> None:
    """End a chord that somebody else has counted, when all *members* have ended: send its body, or store its failure."""
    serializer = app.conf.result_serializer
    parts = []
    for index, leaf in enumerate(members.leaves()):
        value = leaf.result
        value = exception_to_wire(value, is_plain) if isinstance(value, BaseException) else value
        parts.append(ChordPart(group_id, leaf.id, index, leaf.state, _pack(app, value, serializer), b""))
    waiting: list[JoinedChord] = [JoinedChord(group_id, parts, _pack(app, body, serializer))]
    while waiting:
        ended = chord_body(app, waiting.pop())
        if ended.publications:
            app.publisher.send(ended.publications)
        app.backend_for(None).store(ended.metas)
        waiting.extend(app.backend_for(None).join(ended.parts))


def _fail_body(app: Umbel, joined: JoinedChord, body: Mapping[str, Any], error: ChordError) -> Commit:
    frozen, _ = freeze(app, body, new=DerivedIds(joined.group_id))
    ended = Commit(metas=list(_ends(app, frozen, FAILURE, error)))
    for single in _firsts(frozen):
        options = single["options"]
        errbacks = options.get("link_error")
        request = Context(
            id=options["task_id"],
            task=single["task"],
            root_id=options.get("root_id"),
            group=options.get("group_id"),
            reply_to=options.get("reply_to"),
            errbacks=[errbacks] if isinstance(errbacks, Mapping) else errbacks,
        )
        ended.publications.extend(after_failure(app, request, error, None))
    part = _last_part(app, frozen, FAILURE, error)
    if part is not None:
        ended.parts.append(part)
    return ended


def _firsts(frozen: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the single tasks that *frozen* would have begun with: theirs are the errbacks that are called."""
    kind, kwargs = frozen["subtask_type"], frozen["kwargs"]
    if kind == "chain":
        yield from _firsts(kwargs["tasks"][0])
    elif kind == "group":
        for member in kwargs["tasks"]:
            yield from _firsts(member)
    elif kind == "chord":
        yield from _firsts(kwargs["body"])
    else:
        yield frozen
