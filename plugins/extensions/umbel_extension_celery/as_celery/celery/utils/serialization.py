"""Values as text."""

from __future__ import annotations

from umbel_extension_celery.texts import b64decode, b64encode, jsonify, strtobool

__all__ = [
    "b64decode",
    "b64encode",
    "jsonify",
    "strtobool",
]
