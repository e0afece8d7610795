"""``link`` and ``link_error``: one signature or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_signatures", "refuse_circle"]


def as_signatures(links: Any) -> list[Any] | None:
    """Return ``link`` or ``link_error`` as a list of signatures; one alone is taken as a list of one."""
    if not links:
        return None
    if isinstance(links, Mapping):
        return [links]
    if isinstance(links, Sequence) and not isinstance(links, str) and all(isinstance(link, Mapping) for link in links):
        return list(links)
    raise TypeError(f"link and link_error: expected a signature (task.s(...)) or a list of them, got {links!r}")


def refuse_circle(owner: Any, callback: Any, option: str) -> None:
    """Raise ``ValueError`` when *callback* leads back to *owner*: calling one another they would never end."""
    waiting: list[Any] = [callback]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if value is owner:
            raise ValueError(
                f"{option}: expected a callback that does not lead back to {owner!r:.200}, got a circle; for a task that "
                "calls itself again use retry(), or send the next call from inside the task"
            )
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
