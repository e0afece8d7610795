"""Objects that stand for others."""

from __future__ import annotations

from umbel_extension_celery.proxies import PromiseProxy, Proxy, maybe_evaluate, try_import

__all__ = [
    "PromiseProxy",
    "Proxy",
    "maybe_evaluate",
    "try_import",
]
