"""Times as text."""

from __future__ import annotations

from umbel_extension_celery.times import parse_iso8601

__all__ = [
    "parse_iso8601",
]
