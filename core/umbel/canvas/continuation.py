"""What follows the end of a task: its callbacks and the next step of its chain, or its errbacks.

Called by the worker where the task ran; nothing here talks to a broker or a store. The publications leave with the
commit that stores the task's own result. Chords, and steps that are never reached, are :mod:`umbel.canvas.chords`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import DerivedIds
from umbel.canvas.freezing import freeze
from umbel.canvas.planning import plan
from umbel.context import ERRBACK_HEADER, Context
from umbel.exceptions import EncodeError
from umbel.model import Publication
from umbel.protocol.exceptions import exception_to_wire
from umbel.protocol.reprs import saferepr

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["after_failure", "after_success", "is_plain"]

logger = logging.getLogger(__name__)


def is_plain(value: object) -> bool:
    """Say whether *value*, an argument of an exception, can travel in any form."""
    return isinstance(value, str | int | float | bool | None)


def after_success(app: Umbel, request: Context, result: object) -> list[Publication]:
    """Return what a successful task sends: its callbacks and the next step of its chain, each given *result*.

    The results of what is sent are appended to ``request.children``, as tuples: call this before the task's own meta is
    encoded. Raises :class:`~umbel.exceptions.EncodeError` when *result* cannot travel as an argument.
    """
    if not request.callbacks and not request.chain:
        return []
    publications: list[Publication] = []
    for index, callback in enumerate(request.callbacks or ()):
        publications += _send_next(app, request, callback, result, {}, f"link/{index}")
    if request.chain:
        *rest, following = request.chain
        publications += _send_next(app, request, following, result, {"chain": rest} if rest else {}, "chain")
    return publications


def _send_next(
    app: Umbel, request: Context, following: Mapping[str, Any], result: object, options: dict[str, Any], place: str
) -> list[Publication]:
    frozen, child = freeze(app, following, new=DerivedIds(f"{request.id}/{place}"))
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
        return app.workflows.prepare_calls(plan(frozen, (request.id,), None, options))
    headers = {**(frozen["options"].get("headers") or {}), ERRBACK_HEADER: 1}
    options["headers"] = headers
    error = exception_to_wire(exc, is_plain)
    try:
        document = request.as_document()
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options))
    except EncodeError:
        document = {**request.as_document(), "args": None, "kwargs": None}  # their texts are in it too
        return app.workflows.prepare_calls(plan(frozen, (document, error, traceback), None, options))
