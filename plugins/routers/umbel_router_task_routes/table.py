"""``task_routes`` compiled: each entry a function from a query to a route, or nothing."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import translate
from typing import Any, Final
from weakref import WeakKeyDictionary

from umbel.exceptions import ImproperlyConfigured
from umbel.model import Route, RouteQuery

__all__ = ["RouteTable", "table_of"]

_PLACES: Final = ("queue", "exchange", "exchange_type", "routing_key")
_GLOB: Final = re.compile(r"[*?\[]")
_Entry = Callable[[RouteQuery], Route | None]


class RouteTable:
    """The routes of one value of ``task_routes``. Thread-safe; what depends on names alone is remembered."""

    def __init__(self, routes: Any) -> None:
        self.routes = routes
        self._entries = [_entry(entry) for entry in _listed(routes)]
        self._by_name_alone = all(isinstance(entry, _Names) for entry in self._entries)
        self._remembered: dict[str, Route | None] = {}

    def route(self, query: RouteQuery) -> Route | None:
        """Return the first route that an entry has for *query*."""
        if not self._by_name_alone:
            return self._ask(query)
        name = query.name
        try:
            return self._remembered[name]
        except KeyError:
            route = self._remembered[name] = self._ask(query)
            return route

    def _ask(self, query: RouteQuery) -> Route | None:
        for entry in self._entries:
            route = entry(query)
            if route is not None:
                return route
        return None


_tables: WeakKeyDictionary[Any, RouteTable] = WeakKeyDictionary()


def table_of(app: Any, routes: Any) -> RouteTable:
    """Return the table of *app*, compiled anew when the setting holds another object than before."""
    table = _tables.get(app)
    if table is None or table.routes is not routes:
        table = _tables[app] = RouteTable(routes)
    return table


class _Names:
    """A dict of names, globs and regular expressions; whole names are looked up first."""

    def __init__(self, items: Sequence[tuple[Any, Any]]) -> None:
        self._names: dict[str, Route | None] = {}
        self._patterns: list[tuple[re.Pattern[str], Route | None]] = []
        for key, value in items:
            if isinstance(key, re.Pattern):
                self._patterns.append((key, as_route(value)))
            elif not isinstance(key, str):
                raise ImproperlyConfigured(
                    f"task_routes: expected a task's name, a glob or a compiled regular expression, got {key!r}"
                )
            elif _GLOB.search(key):
                self._patterns.append((re.compile(translate(key)), as_route(value)))
            else:
                self._names[key] = as_route(value)

    def __call__(self, query: RouteQuery) -> Route | None:
        route = self._names.get(query.name)
        if route is not None:
            return route
        return next((route for pattern, route in self._patterns if pattern.match(query.name)), None)


def as_route(value: Any) -> Route | None:
    """Return what a router answered as a route: a queue's name, a dict, a :class:`Route`, or nothing."""
    if not value:
        return None
    if isinstance(value, Route):
        return value
    if isinstance(value, str):
        return Route(queue=value)
    if isinstance(value, Mapping):
        options = {name: option for name, option in value.items() if name not in _PLACES}
        return Route(
            queue=_name_of(value.get("queue")),
            exchange=_name_of(value.get("exchange")),
            exchange_type=value.get("exchange_type"),
            routing_key=value.get("routing_key"),
            options=options,
        )
    raise ImproperlyConfigured(f"task_routes: expected a queue's name or a dict with 'queue', got {value!r}")


def _name_of(place: Any) -> str | None:
    """Return the name of a queue or exchange that may be given as an object."""
    return place if place is None or isinstance(place, str) else place.name


def _listed(routes: Any) -> Sequence[Any]:
    """Return the entries of the setting: one alone, or each of a list; a list of pairs is one table, in order."""
    if isinstance(routes, list | tuple):
        pairs = [entry for entry in routes if _is_pair(entry)]
        return [tuple(pairs)] if pairs and len(pairs) == len(routes) else routes
    return [routes]


def _is_pair(entry: Any) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], str | re.Pattern)
        and isinstance(entry[1], str | Mapping)
    )


def _entry(entry: Any) -> _Entry:
    if isinstance(entry, Mapping):
        return _Names(list(entry.items()))
    if isinstance(entry, list | tuple):
        return _Names([(entry[0], entry[1])] if _is_pair(entry) else [tuple(pair) for pair in entry])
    if isinstance(entry, str):
        entry = _import(entry)
    if isinstance(entry, type):
        entry = entry()
    method = getattr(entry, "route_for_task", None)
    if method is not None:
        return functools.partial(_ask_method, method)
    if callable(entry):
        return functools.partial(_ask_function, entry)
    raise ImproperlyConfigured(
        f"task_routes: expected a dict, a (pattern, route) pair, a function, an object with route_for_task(), or the "
        f"dotted name of one, got {entry!r}"
    )


def _ask_function(function: Callable[..., Any], query: RouteQuery) -> Route | None:
    """Ask a router in today's form."""
    options = dict(query.options)
    return as_route(function(query.name, query.args, query.kwargs, options, task=query.task))


def _ask_method(method: Callable[..., Any], query: RouteQuery) -> Route | None:
    """Ask a router class in the manual's form."""
    return as_route(method(query.name, args=query.args, kwargs=query.kwargs))


def _import(name: str) -> Any:
    module_name, separator, attribute = name.replace(":", ".").rpartition(".")
    if not separator:
        raise ImproperlyConfigured(f"task_routes: expected the dotted name of a router (module.Router), got {name!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ImproperlyConfigured(f"task_routes: {name!r}: there is no module {error.name!r}") from error
    if not hasattr(module, attribute):
        near = get_close_matches(attribute, dir(module), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ImproperlyConfigured(f"task_routes: module {module_name!r} has no {attribute!r}{hint}")
    return getattr(module, attribute)
