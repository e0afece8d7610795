"""How chords end, and everything else that waits for a task: each end of a member has a defined effect on the whole.

A member of a header adds its part, whatever became of it. The chord's end is the body, called with the results in the
header's order, or the body's failure (:class:`~umbel.exceptions.ChordError`) when a member had none. A step that is
never reached, because one before it failed, ends with the exception of that one, and tells the chord it stands in.
Nothing here talks to a broker or a store; the worker's commit does what is returned.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import DerivedIds
from umbel.canvas.continuation import after_failure
from umbel.canvas.freezing import freeze
from umbel.canvas.packing import pack, unpack
from umbel.canvas.parts import chord_part, is_plain
from umbel.canvas.planning import plan
from umbel.canvas.references import is_reference
from umbel.canvas.unreached import last_part, steps_end, unreached
from umbel.context import Context
from umbel.exceptions import BackendError, ChordError, WorkflowLostError
from umbel.model import ChordPart, Commit, JoinedChord
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.states import FAILURE, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results import ResultSet

__all__ = ["after_end", "chord_body", "chord_part", "end_chord"]

logger = logging.getLogger(__name__)

#: How long the end of a task waits for a store that does not answer, before the steps to come are ended without it.
_PATIENCE_S: Final = 5.0


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
    try:
        if request.chain:
            ending = steps_end(app, _steps_to_come(app, request), state, error)
            ended.metas.extend(ending.metas)
            ended.parts.extend(ending.parts)
        if not ended.parts:
            part = chord_part(app, request, state, error)
            ended.parts.extend([part] if part is not None else [])
    except Exception:  # a signature that somebody else made, and made wrong
        logger.exception("what waits for task %s[%s] cannot be told of its end", request.task, request.id)
    return ended


def _steps_to_come(app: Umbel, request: Context) -> list[Any]:
    """Return what follows *request*, last first; a reference stays one where its record cannot be had."""
    chain: list[Any] = list(request.chain or ())
    records = app.workflows.records
    try:
        steps: list[Any] = records.expanded(chain, _PATIENCE_S)
    except (WorkflowLostError, BackendError) as error:
        logger.warning("of the steps behind task %s[%s] only the end is told: %s", request.task, request.id, error)
        return chain
    for step in chain:
        if is_reference(step):
            records.let_expire(step["kwargs"]["record"])
    return steps


# -- the end of a chord -----------------------------------------------------------------------------------------------


def chord_body(app: Umbel, joined: JoinedChord) -> Commit:
    """Return what ends a chord whose members are all in: the body to send, or its failure and its errbacks.

    With every member successful the body gets the list of results; else a ``ChordError`` naming the first member that
    failed is stored as the body's result, the body's errbacks are sent, and a chord around this one is told. So it is
    for a body that cannot be sent, or whose record is lost. Raises for a body that cannot even be read, and
    ``BackendError`` when the store does not answer. ``extra["records"]`` names the record that is over with it.
    """
    body = unpack(app, joined.body)
    if not is_reference(body):
        return _ended(app, joined, body)
    try:
        stored, _ = app.workflows.records.unfolded(body)
    except WorkflowLostError as error:
        ended = steps_end(app, [body], FAILURE, ChordError(f"the body cannot be called with the results: {error}"))
    else:
        ended = _ended(app, joined, stored)
    ended.extra["records"] = [body["kwargs"]["record"]]
    return ended


def _ended(app: Umbel, joined: JoinedChord, body: Mapping[str, Any]) -> Commit:
    try:
        failed = next((part for part in joined.parts if part.state != SUCCESS), None)
        if failed is not None:
            error = exception_from_wire(unpack(app, failed.payload))
            return _fail_body(app, joined, body, ChordError(f"Dependency {failed.task_id} raised {error!r}"))
        results = [unpack(app, part.payload) for part in joined.parts]
        frozen, _ = freeze(app, body, new=DerivedIds(joined.group_id))
        parent_id = joined.parts[-1].task_id if joined.parts else None
        calls = plan(frozen, (results,), None, {"parent_id": parent_id})
        return Commit(publications=app.workflows.prepare_calls(calls, may_store=False))
    except Exception as error:  # a result that cannot be an argument, a queue that does not exist, a router that raised
        return _fail_body(app, joined, body, ChordError(f"the body cannot be called with the results: {error!r}"))


def end_chord(app: Umbel, group_id: str, body: Mapping[str, Any], members: ResultSet) -> None:
    """End a chord that somebody else has counted, when all *members* have ended: send its body, or store its failure."""
    serializer = app.conf.result_serializer
    parts = []
    for index, leaf in enumerate(members.leaves()):
        value = leaf.result
        value = exception_to_wire(value, is_plain) if isinstance(value, BaseException) else value
        parts.append(ChordPart(group_id, leaf.id, index, leaf.state, pack(app, value, serializer), b""))
    waiting: list[JoinedChord] = [JoinedChord(group_id, parts, pack(app, body, serializer))]
    while waiting:
        ended = chord_body(app, waiting.pop())
        if ended.publications:
            app.publisher.send(ended.publications)
        app.backend_for(None).store(ended.metas)
        waiting.extend(app.backend_for(None).join(ended.parts))


def _fail_body(app: Umbel, joined: JoinedChord, body: Mapping[str, Any], error: ChordError) -> Commit:
    frozen, _ = freeze(app, body, new=DerivedIds(joined.group_id))
    following = frozen["options"].get("chain")
    if following:
        with contextlib.suppress(WorkflowLostError):  # then the end alone is told
            frozen["options"]["chain"] = app.workflows.records.expanded(following, 0.0)
    ended = Commit(metas=list(unreached(app, frozen, FAILURE, error)))
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
    part = last_part(app, frozen, FAILURE, error)
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
