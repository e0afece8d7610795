"""A running call that hands its place in a workflow on: ``task.replace`` and ``task.add_to_chord``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import DerivedIds
from umbel.canvas.composed import group
from umbel.canvas.freezing import freeze
from umbel.canvas.planning import plan
from umbel.canvas.signature import Signature
from umbel.context import Context
from umbel.exceptions import Ignore, ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.results.sets import Member
    from umbel.task import Task

__all__ = ["add_to_chord", "replacement", "send_replacement"]


def replacement(request: Context, signature: Mapping[str, Any]) -> Signature:
    """Return *signature* as what takes the place of *request*: its id, its callbacks and errbacks, its place in a group.

    A group is given a body that hands on the list of its results. Raises ``ImproperlyConfigured`` for a signature that is
    a member of some chord already.
    """
    made = Signature.from_dict(signature).clone()
    if made.options.get("chord") is not None:
        raise ImproperlyConfigured(
            "replace: expected a signature of its own, got one that is a member of a chord; the chord of the replaced "
            "task is passed on by itself"
        )
    if isinstance(made, group):
        made = made | Signature("celery.accumulate", kwargs={"index": 0}, app=made._app)
    for callback in request.callbacks or ():
        made = _linked(made, "link", callback)
    for errback in request.errbacks or ():
        made = _linked(made, "link_error", errback)
    made.options["task_id"] = request.id
    for option, value in (
        ("chord", request.chord),
        ("group_id", request.group),
        ("group_index", request.group_index),
    ):
        if value is not None:
            made.options[option] = value
    return made


def _linked(made: Signature, option: str, link: Mapping[str, Any]) -> Signature:
    made.options[option] = [*(made.options.get(option) or ()), link]
    return made


def send_replacement(task: Task[..., Any], request: Context, signature: Signature) -> Any:
    """Send what :func:`replacement` made, together with the end of the running call, and end that: raise ``Ignore``.

    What followed the call follows its replacement. Outside of a worker it is run at once, and its value returned.
    """
    if request.outbox is None:
        place = ("task_id", "chord", "group_id", "group_index", "link", "link_error")
        kept = {name: value for name, value in signature.options.items() if name not in place}
        return signature.replace(options=kept).apply().get(disable_sync_subtasks=False)
    nesting = request.replaced_task_nesting + 1
    frozen, _ = freeze(task.app, signature, new=DerivedIds(f"{request.id}/replace/{nesting}"))
    options: dict[str, Any] = {
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "replaced_task_nesting": nesting,
    }
    if request.reply_to:
        options["reply_to"] = request.reply_to
    if request.stamps and not signature.options.get("stamped_headers"):
        options.update(stamps=request.stamps, stamped_headers=request.stamped_headers)
    if request.chain:
        options["chain"] = request.chain
    request.outbox.extend(task.app.workflows.prepare_calls(plan(frozen, (), None, options)))
    request.replaced = True
    raise Ignore("replaced by another task")


def add_to_chord(
    task: Task[..., Any], request: Context, signature: Mapping[str, Any], lazy: bool
) -> Member | Signature:
    """Add a member to the header of the chord that the running call is in; see :meth:`umbel.Task.add_to_chord`."""
    if not request.chord or request.group is None:
        raise ValueError(f"add_to_chord: expected a call that is a member of a chord, got {task.name}[{request.id}]")
    number = request.chord_extra
    request.chord_extra = number + 1
    options = {
        **(signature.get("options") or {}),
        "chord": request.chord,
        "group_id": request.group,
        "root_id": request.root_id,
        "parent_id": request.id,
    }
    # After all others, in the order in which they were added by one member.
    options.pop("group_index", None)
    ids = DerivedIds(f"{request.id}/added/{number}")
    frozen, result = freeze(task.app, {**signature, "options": options}, new=ids)
    if lazy:
        return Signature.from_dict(frozen, task.app)
    request.chord_outbox = [*request.chord_outbox, *task.app.workflows.prepare_calls(plan(frozen))]
    return result
