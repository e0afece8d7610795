"""Objects by their dotted names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from umbel.exceptions import ImproperlyConfigured
from umbel.suggestions import suggest

__all__ = ["instantiate", "qualname", "symbol_by_name"]


def symbol_by_name(
    name: Any, aliases: Mapping[str, Any] | None = None, imp: Any = None, package: str | None = None, **unused: Any
) -> Any:
    """Return what ``module:attribute`` or ``module.attribute`` names; what is no text is returned as it is.

    Raises ``ImportError`` for a missing module, :class:`~umbel.exceptions.ImproperlyConfigured` for a missing attribute.
    """
    target: Any = (aliases or {}).get(name, name) if isinstance(name, str) else name
    if not isinstance(target, str):
        return target
    module_name, separator, path = target.partition(":")
    if not separator:
        module_name, _, path = target.rpartition(".")
    if not module_name:
        raise ImproperlyConfigured(f"expected a name such as 'module:attribute', got {name!r}")
    thing: Any = (imp or importlib.import_module)(module_name)
    for part in filter(None, path.split(".")):
        if not hasattr(thing, part):
            raise ImproperlyConfigured(f"{name!r}: {module_name!r} has no {part!r}{suggest(part, dir(thing))}")
        thing = getattr(thing, part)
    return thing


def qualname(thing: Any) -> str:
    """Return ``module.Name`` of a class, or of an object's class."""
    cls = thing if hasattr(thing, "__name__") else type(thing)
    return f"{cls.__module__}.{cls.__qualname__}"


def instantiate(name: Any, *args: Any, **kwargs: Any) -> Any:
    """Make an object of the class that *name* is or names."""
    return symbol_by_name(name)(*args, **kwargs)
