"""The loader that reads ``celeryconfig``."""

from __future__ import annotations

from umbel_extension_celery.loading import DefaultLoader as Loader

DEFAULT_CONFIG_MODULE = "celeryconfig"

__all__ = [
    "DEFAULT_CONFIG_MODULE",
    "Loader",
]
