"""References: what stands in a message for steps that are kept in the result store, once for the whole workflow.

A reference is a signature of the built-in task ``umbel.stored`` and stands for the last *left* steps of a stored list (a
chain's, last first). Umbel's workers put the step itself in its place; who does not know it (a Celery worker that sends
the next step of a chain) calls that task, which does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from umbel.canvas.freezing import OF_THE_LAST

__all__ = ["STORED", "end_of", "is_reference", "lost_end", "reference"]

STORED: Final = "umbel.stored"
#: What is known of the end of stored steps even when their record is lost.
_PLACE: Final = ("chord", "group_id", "group_index", "reply_to")


def is_reference(signature: Mapping[str, Any]) -> bool:
    """Say whether *signature* stands for stored steps."""
    return signature.get("task") == STORED


def reference(
    record_id: str, left: int, steps: Sequence[Mapping[str, Any]], end: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what stands for the first *left* of *steps* (last first), which are stored under *record_id*.

    *end* is what is known of their end, ``None`` in a first reference: it is made here then.
    """
    next_id, _ = end_of(steps[left - 1])
    return {
        "task": STORED,
        "args": (),
        "kwargs": {"record": record_id, "left": left, "end": end or _known_end(steps[0])},
        "options": {"task_id": next_id},
        "subtask_type": None,
        "immutable": False,
    }


def _known_end(last: Mapping[str, Any]) -> dict[str, Any]:
    task_id, place = end_of(last)
    return {"task_id": task_id, **{name: place[name] for name in _PLACE if place.get(name) is not None}}


def lost_end(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as a signature, the task that a reference ends with: all that is known when its record is lost."""
    options = dict(signature["kwargs"].get("end") or {})
    return {"task": "", "args": (), "kwargs": {}, "options": options, "subtask_type": None, "immutable": False}


def end_of(
    signature: Mapping[str, Any], outer: Mapping[str, Any] | None = None
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the id of the task that *signature* ends with, as it is when it runs, and its place in a header."""
    if is_reference(signature):
        signature = lost_end(signature)
    options = signature.get("options") or {}
    outer = outer or {}
    following = options.get("chain")
    if following:
        return end_of(following[0], outer)
    place = {**options, **{name: outer[name] for name in OF_THE_LAST if outer.get(name) is not None}}
    kind = signature.get("subtask_type")
    if kind == "chain":
        return end_of(signature["kwargs"]["tasks"][-1], place)
    if kind == "chord":
        return end_of(signature["kwargs"]["body"], place)
    return options.get("task_id") if kind == "group" else place.get("task_id"), place
