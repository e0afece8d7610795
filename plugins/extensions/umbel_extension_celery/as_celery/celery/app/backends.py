"""Result backends by their names."""

from __future__ import annotations

from umbel_extension_celery.backends.naming import by_name, by_url

__all__ = [
    "by_name",
    "by_url",
]
