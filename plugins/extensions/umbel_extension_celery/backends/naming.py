"""Result backends by Celery's names."""

from __future__ import annotations

from typing import Any

__all__ = ["by_name", "by_url"]


def by_url(backend: str | None = None, loader: Any = None) -> tuple[Any, str]:
    """Return (a function that makes the backend for an application, the URL) of a name or URL."""
    url = backend or "disabled"

    def make(app: Any, url: str = url, **_: Any) -> Any:
        from umbel_extension_celery.backends.facade import backend_facade  # which imports what imports this package

        return backend_facade(app, app.host.backend(app, url))

    return make, url


def by_name(backend: str | None = None, loader: Any = None, **_: Any) -> Any:
    """Return a function that makes the backend *backend* for an application."""
    return by_url(backend, loader)[0]
