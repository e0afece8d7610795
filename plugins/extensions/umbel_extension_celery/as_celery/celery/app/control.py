"""Remote control."""

from __future__ import annotations

from umbel.control import flatten_reply
from umbel_extension_celery.outside import CeleryControl as Control
from umbel_extension_celery.outside import Inspect

__all__ = [
    "Control",
    "Inspect",
    "flatten_reply",
]
