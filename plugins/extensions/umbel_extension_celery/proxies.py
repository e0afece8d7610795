"""Objects that stand for another one, which is looked up at each use: ``celery.current_app``, ``current_task``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["PromiseProxy", "Proxy", "maybe_evaluate", "try_import"]

_set = object.__setattr__
_get = object.__getattribute__


class Proxy:
    """Forwards everything to what ``local(*args, **kwargs)`` returns at that moment."""

    __slots__ = ("__args", "__dict__", "__kwargs", "__local")

    def __init__(
        self,
        local: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
        __doc__: str | None = None,
    ) -> None:
        _set(self, "_Proxy__local", local)
        _set(self, "_Proxy__args", args or ())
        _set(self, "_Proxy__kwargs", kwargs or {})

    def _get_current_object(self) -> Any:
        """Return the object that this stands for."""
        local = _get(self, "_Proxy__local")
        return local(*_get(self, "_Proxy__args"), **_get(self, "_Proxy__kwargs"))

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
        return self._get_current_object().__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._get_current_object(), name)

    def __dir__(self) -> list[str]:
        return dir(self._get_current_object())

    def __repr__(self) -> str:
        try:
            return repr(self._get_current_object())
        except Exception:
            return f"<{type(self).__name__} of nothing yet>"

    def __str__(self) -> str:
        return str(self._get_current_object())

    def __bool__(self) -> bool:
        return bool(self._get_current_object())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._get_current_object()(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __ne__(self, other: object) -> bool:
        return bool(self._get_current_object() != other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __len__(self) -> int:
        return len(self._get_current_object())

    def __getitem__(self, key: Any) -> Any:
        return self._get_current_object()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._get_current_object()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._get_current_object()[key]

    def __contains__(self, item: object) -> bool:
        return item in self._get_current_object()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get_current_object())

    def __enter__(self) -> Any:
        return self._get_current_object().__enter__()

    def __exit__(self, *exc_info: object) -> Any:
        return self._get_current_object().__exit__(*exc_info)

    def __reduce__(self) -> Any:
        return self._get_current_object().__reduce__()


class PromiseProxy(Proxy):
    """A proxy that looks its object up once."""

    __slots__ = ("__thing",)

    def _get_current_object(self) -> Any:
        return self.__evaluate__()

    def __evaluate__(self) -> Any:
        try:
            return _get(self, "_PromiseProxy__thing")
        except AttributeError:
            thing = Proxy._get_current_object(self)
            _set(self, "_PromiseProxy__thing", thing)
            return thing

    def __evaluated__(self) -> bool:
        """Say whether the object was looked up."""
        try:
            _get(self, "_PromiseProxy__thing")
        except AttributeError:
            return False
        return True


def maybe_evaluate(value: Any) -> Any:
    """Return what *value* stands for where it is a promise, else *value*."""
    try:
        return _get(value, "__evaluate__")()
    except AttributeError:
        return value


def try_import(module: str, default: Any = None) -> Any:
    """Import *module*, or return *default* where it is not there."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        return default
