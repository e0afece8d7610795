"""How often, and after which pauses, a publication is tried again (A554-A559)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from umbel.suggestions import suggest

__all__ = ["PublishPolicy"]

_NAMES: Final = ("max_retries", "interval_start", "interval_step", "interval_max", "retry_errors")


@attrs.frozen
class PublishPolicy:
    """The pauses between attempts: the first *interval_start_s*, each next one *interval_step_s* longer, up to
    *interval_max_s*. *max_retries* of ``None`` or 0 sets no bound but the deadline of the call.
    """

    max_retries: int | None = 3
    interval_start_s: float = 0.0
    interval_step_s: float = 0.2
    interval_max_s: float = 0.2
    retry_errors: tuple[type[BaseException], ...] = ()

    @classmethod
    def from_mapping(cls, *layers: Mapping[str, Any] | None) -> PublishPolicy:
        """Make a policy from ``task_publish_retry_policy`` and, over it, the ``retry_policy`` of a call."""
        merged: dict[str, Any] = {}
        for layer in layers:
            for name, value in (layer or {}).items():
                if name not in _NAMES:
                    raise ValueError(f"retry_policy: unknown key {name!r}{suggest(name, _NAMES)}")
                merged[name] = value
        return cls(
            max_retries=merged.get("max_retries", 3) or None,
            interval_start_s=float(merged.get("interval_start", 0)),
            interval_step_s=float(merged.get("interval_step", 0.2)),
            interval_max_s=float(merged.get("interval_max", 0.2)),
            retry_errors=tuple(merged.get("retry_errors") or ()),
        )

    def pause_s(self, retries: int) -> float | None:
        """Return how long to wait before the next attempt after *retries* retries; ``None``: give up."""
        if self.max_retries is not None and retries >= self.max_retries:
            return None
        return min(self.interval_start_s + retries * self.interval_step_s, self.interval_max_s)
