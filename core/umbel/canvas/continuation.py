"""What follows the end of a task: its callbacks and the next step of its chain, or its errbacks.

Called by the worker where the task ran; nothing here talks to a broker or a store. The publications leave with the
commit that stores the task's own result. Chords, and steps that are never reached, are :mod:`umbel.canvas.chords`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import DerivedIds
from umbel.canvas.freezing import freeze
from umbel.canvas.parts import chord_part, is_plain
from umbel.canvas.planning import plan
from umbel.canvas.references import is_reference
from umbel.canvas.unreached import steps_end
from umbel.context import ERRBACK_HEADER, Context
from umbel.exceptions import BackendError, EncodeError, Reject, WorkflowLostError
from umbel.model import Commit, Publication
from umbel.protocol.exceptions import exception_to_wire
from umbel.protocol.reprs import saferepr
from umbel.protocol.steps import UnreadSteps
from umbel.states import FAILURE, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["after_failure", "after_return"]

logger = logging.getLogger(__name__)

#: How long the end of a task waits for a store that does not answer; then its message goes back.
_PATIENCE_S: Final = 60.0


def after_return(app: Umbel, request: Context, result: object) -> Commit:
    """Return what a successful task sends, and its part of the chord that it is a member of; errors as below."""
    ended = _after_success(app, request, result)
    if request.chord is not None:
        part = chord_part(app, request, SUCCESS, result)
        if part is not None:
            ended.parts.append(part)
        ended.publications.extend(request.chord_outbox)
    return ended


def _after_success(app: Umbel, request: Context, result: object) -> Commit:
    """Return what a successful task sends: its callbacks and the next step of its chain, each given *result*.

    The results of what is sent are appended to ``request.children``, as tuples: call this before the task's own meta is
    encoded. Steps whose definition is lost end with :class:`~umbel.exceptions.WorkflowLostError`. Raises
    :class:`~umbel.exceptions.EncodeError` when *result* cannot travel as an argument, and
    :class:`~umbel.exceptions.Reject` (the message is to come again) when the store that has the next step is away.
    """
    ended = Commit()
    for index, callback in enumerate(request.callbacks or ()):
        ended.publications += _send_next(app, request, callback, result, [], f"link/{index}")
    if not request.steps:
        return ended
    records = app.workflows.records
    unread = request.steps.following() if type(request.steps) is UnreadSteps and not records.is_used else None
    if unread is not None and unread[0].get("subtask_type") is None and not is_reference(unread[0]):
        ended.publications += _send_next(app, request, unread[0], result, unread[1], "chain")
        return ended
    chain = request.chain or []
    try:
        following, rest = records.next_step(chain, _PATIENCE_S)
        if rest and following.get("subtask_type") is not None and is_reference(rest[-1]):
            # Of a group that something follows the planner makes a chord: it needs the step itself.
            step, further = records.unfolded(rest[-1], _PATIENCE_S)
            rest[-1:] = [*further, step]
    except WorkflowLostError as error:
        logger.warning("task %s[%s] succeeded, and what follows it is lost: %s", request.task, request.id, error)
        lost = steps_end(app, list(chain), FAILURE, error)
        ended.metas, ended.parts = lost.metas, lost.parts
    except BackendError as error:
        raise Reject(f"the next step cannot be read: {error}", requeue=True) from error
    else:
        ended.publications += _send_next(app, request, following, result, rest, "chain")
    return ended


def _send_next(
    app: Umbel,
    request: Context,
    following: Mapping[str, Any],
    result: object,
    rest: UnreadSteps | list[Any],
    place: str,
) -> list[Publication]:
    frozen, child = freeze(app, following, new=DerivedIds(f"{request.id}/{place}"))
    request.children.append(child.as_tuple())
    options = _inherited(app, request)
    if rest:
        options["chain"] = rest
    return app.workflows.prepare_calls(plan(frozen, (result,), None, options))


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
    for index, errback in enumerate(request.errbacks or ()):
        try:
            publications += _send_errback(app, request, errback, exc, traceback, index)
        except Exception:  # one broken errback must not stop the others, nor hide the failure itself
            logger.exception("errback %s of task %s[%s] cannot be sent", saferepr(errback), request.task, request.id)
    return publications


def _send_errback(
    app: Umbel, request: Context, errback: Mapping[str, Any], exc: BaseException, traceback: str | None, index: int
) -> list[Publication]:
    frozen, _ = freeze(app, errback, new=DerivedIds(f"{request.id}/link_error/{index}"))
    options = _inherited(app, request)
    task = None if frozen["subtask_type"] else app.tasks.get(frozen["task"])
    if task is None or frozen["immutable"] or not task.parameters.takes_several:
        return app.workflows.prepare_calls(plan(frozen, (request.id,), None, options), may_store=False)
    headers = {**(frozen["options"].get("headers") or {}), ERRBACK_HEADER: 1}
    options["headers"] = headers
    error = exception_to_wire(exc, is_plain)
    try:
        document = request.as_document()
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options), may_store=False)
    except EncodeError:
        document = {**request.as_document(), "args": None, "kwargs": None}  # their texts are in it too
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options), may_store=False)
