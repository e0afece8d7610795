"""The text by which tasks are chosen: ``state:failure name:shop -retry >1s``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from umbel.events import Task
from umbel.states import READY_STATES
from umbel.suggestions import suggest

__all__ = ["FIELDS", "Filter", "parse"]

Filter = Callable[[Task], bool]

_SPAN: Final = re.compile(r"([<>])=?(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)?", re.ASCII)
_UNITS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _worker(task: Task) -> str:
    return str(task.worker.hostname) if task.worker is not None else ""


#: What may stand before a colon, and where it looks.
FIELDS: Final[dict[str, Callable[[Task], object]]] = {
    "name": lambda task: task.name,
    "state": lambda task: task.state,
    "worker": _worker,
    "id": lambda task: task.uuid,
    "args": lambda task: f"{task.args or ''} {task.kwargs or ''}",
    "result": lambda task: task.result,
    "error": lambda task: task.exception,
    "queue": lambda task: task.routing_key,
    "parent": lambda task: task.parent_id,
    "root": lambda task: task.root_id,
}
_ANYWHERE: Final = ("name", "state", "worker", "id", "args", "result", "error")
#: States by another word.
_GROUPS: Final[dict[str, Filter]] = {
    "active": lambda task: task.state not in READY_STATES and task.state != "PENDING",
    "ended": lambda task: task.ready,
    "failed": lambda task: task.state == "FAILURE",
    "running": lambda task: task.state == "STARTED",
}


def parse(text: str) -> Filter | None:
    """Return what says whether a task fits all words of *text*; ``None`` when there are none.

    A word is looked for in name, state, worker, id, arguments, result and error, whatever its case; ``field:word`` looks
    in one of :data:`FIELDS`; ``-word`` is for tasks without it; ``>1.5s`` and ``<20ms`` are about the run time. Raises
    ``ValueError`` for a field that does not exist.
    """
    checks = [_word(word) for word in text.split()]
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]
    return lambda task: all(check(task) for check in checks)


def _word(word: str) -> Filter:
    if word.startswith("-") and len(word) > 1:
        wrong = _word(word[1:])
        return lambda task: not wrong(task)
    span = _SPAN.fullmatch(word)
    if span is not None:
        return _runs(span[1], float(span[2]) * _UNITS[span[3] or "s"])
    field, colon, wanted = word.partition(":")
    if colon and field.lower() in FIELDS:
        return _in_fields([field.lower()], wanted.lower())
    if colon and field.isalpha() and wanted and not wanted.startswith("//"):
        raise ValueError(f"no field {field!r}{suggest(field.lower(), FIELDS)} (fields: {', '.join(FIELDS)})")
    return _in_fields(_ANYWHERE, word.lower())


def _runs(sign: str, seconds: float) -> Filter:
    def runs(task: Task) -> bool:
        ran: object = task.runtime  # an event may say anything
        return isinstance(ran, int | float) and (ran > seconds if sign == ">" else ran < seconds)

    return runs


def _in_fields(names: Sequence[str], wanted: str) -> Filter:
    if list(names) == ["state"] and wanted in _GROUPS:
        return _GROUPS[wanted]
    looks = [FIELDS[name] for name in names]
    return lambda task: any(wanted in str(found).lower() for look in looks if (found := look(task)) is not None)
