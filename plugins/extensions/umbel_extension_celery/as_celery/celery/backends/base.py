"""The base classes of result backends."""

from __future__ import annotations

from umbel_extension_celery.backends.contract import Backend, DisabledBackend
from umbel_extension_celery.backends.key_value import KeyValueStoreBackend
from umbel_extension_celery.current import get_current_task

BaseBackend = BaseDictBackend = Backend

__all__ = [
    "Backend",
    "BaseBackend",
    "BaseDictBackend",
    "DisabledBackend",
    "KeyValueStoreBackend",
    "get_current_task",
]
