"""``link`` and ``link_error``: one signature or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_signatures"]


def as_signatures(links: Any) -> list[Any] | None:
    """Return ``link`` or ``link_error`` as a list of signatures; one alone is taken as a list of one."""
    if not links:
        return None
    if isinstance(links, Mapping):
        return [links]
    if isinstance(links, Sequence) and not isinstance(links, str) and all(isinstance(link, Mapping) for link in links):
        return list(links)
    raise TypeError(f"link and link_error: expected a signature (task.s(...)) or a list of them, got {links!r}")
