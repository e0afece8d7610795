"""Objects."""

from __future__ import annotations

from umbel_extension_celery.mappings import Bunch

__all__ = [
    "Bunch",
]
