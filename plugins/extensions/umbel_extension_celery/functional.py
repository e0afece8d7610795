"""Functions on functions and lists that programs import from Celery."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections import UserList
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from umbel_extension_celery.proxies import maybe_evaluate

__all__ = [
    "chunks",
    "dictfilter",
    "first",
    "firstmethod",
    "fun_accepts_kwargs",
    "is_list",
    "lazy",
    "mattrgetter",
    "maybe",
    "maybe_evaluate",
    "maybe_list",
    "memoize",
    "noop",
    "padlist",
    "pass1",
    "regen",
    "uniq",
]


def noop(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def pass1(arg: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the first argument."""
    return arg


def chunks(it: Iterable[Any], n: int) -> Iterator[list[Any]]:
    """Yield lists of *n* items, the last one shorter."""
    iterator = iter(it)
    while found := list(itertools.islice(iterator, n)):
        yield found


def first(predicate: Callable[[Any], Any] | None, it: Iterable[Any]) -> Any:
    """Return the first item for which *predicate* is true (that is not ``None`` without one), or ``None``."""
    return next((item for item in it if (predicate(item) if predicate else item is not None)), None)


def firstmethod(method: str, on_call: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Return a function that calls *method* of each item of its list until one answers."""

    def ask(it: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        for item in it:
            bound = getattr(maybe_evaluate(item), method)
            answer = on_call(bound, *args, **kwargs) if on_call else bound(*args, **kwargs)
            if answer is not None:
                return answer
        return None

    return ask


def is_list(obj: Any, scalars: tuple[type, ...] = (Mapping, str), iters: tuple[type, ...] = (Iterable,)) -> bool:
    """Say whether *obj* is a list of things, and not text or a mapping."""
    return isinstance(obj, iters) and not isinstance(obj, scalars)


def maybe_list(obj: Any, scalars: tuple[type, ...] = (Mapping, str)) -> Any:
    """Return *obj* in a list, unless it is one, or ``None``."""
    return obj if obj is None or is_list(obj, scalars) else [obj]


def mattrgetter(*attrs: str) -> Callable[[Any], dict[str, Any]]:
    """Return a function that gives these attributes of an object as a dict."""
    return lambda obj: {name: getattr(obj, name, None) for name in attrs}


def maybe(typ: Callable[[Any], Any], val: Any) -> Any:
    """Return *val* through *typ*, ``None`` as it is."""
    return None if val is None else typ(val)


def memoize(maxsize: int | None = None, keyfun: Any = None, Cache: Any = None) -> Callable[..., Any]:  # noqa: N803
    """Remember what a function returned."""
    return functools.lru_cache(maxsize=maxsize)


def padlist(container: Iterable[Any], size: int, default: Any = None) -> list[Any]:
    """Return *size* items, *default* where there are fewer."""
    found = list(container)[:size]
    return found + [default] * (size - len(found))


def uniq(it: Iterable[Any]) -> Iterator[Any]:
    """Yield each item once, in order."""
    return iter(dict.fromkeys(it))


def regen(it: Iterable[Any]) -> Any:
    """Return something that can be iterated again and again."""
    return it if isinstance(it, list | tuple) else UserList(it)


def dictfilter(d: Mapping[str, Any] | None = None, **kw: Any) -> dict[str, Any]:
    """Return the items that are not ``None``."""
    return {key: value for key, value in {**(d or {}), **kw}.items() if value is not None}


def fun_accepts_kwargs(fun: Callable[..., Any]) -> bool:
    """Say whether *fun* takes ``**kwargs``."""
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(fun).parameters.values())


class lazy:
    """A call that is made when its value is asked for."""

    def __init__(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = functools.partial(fun, *args, **kwargs)

    def __call__(self) -> Any:
        return self.evaluate()

    def evaluate(self) -> Any:
        """Return the value."""
        return self._call()

    def __str__(self) -> str:
        return str(self())

    def __repr__(self) -> str:
        return repr(self())
