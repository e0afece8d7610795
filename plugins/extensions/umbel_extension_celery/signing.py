"""Signed messages, by Celery's module."""

from __future__ import annotations

from typing import Any

from umbel_extension_celery.current import current_app

__all__ = ["disable_untrusted_serializers", "setup_security"]


def setup_security(*args: Any, app: Any = None, **kwargs: Any) -> None:
    """Sign and check the messages of *app*, or of the current application: see its ``setup_security``."""
    (current_app if app is None else app).setup_security(*args, **kwargs)


def disable_untrusted_serializers(whitelist: Any = None) -> None:
    """Do nothing: what is read is what ``accept_content`` names, in each application."""
