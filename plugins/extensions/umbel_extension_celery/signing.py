"""Signed messages, which Umbel does not have yet."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["setup_security"]


def setup_security(*_: Any, **__: Any) -> NoReturn:
    """Raise ``NotImplementedError``, which says what protects messages meanwhile."""
    raise NotImplementedError(
        "setup_security(): signed messages (the serializer 'auth') are not supported yet; messages are JSON only by "
        "default, and the broker's own access control protects the queues"
    )
