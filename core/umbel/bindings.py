"""Which queues a message goes to, as AMQP says: exchanges, bindings and their keys.

Pure rules, for the router and for every transport whose broker does not route by itself. Nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from umbel.model import Queue

__all__ = ["Bindings", "binding_matches", "headers_match", "topic_matches"]

#: Keys may be made up by the senders of events without end.
_REMEMBERED: Final = 10_000


def topic_matches(pattern: str, routing_key: str) -> bool:
    """Say whether *routing_key* fits *pattern*: words between dots, ``*`` for one word, ``#`` for any number, even none.

    It takes no longer than the product of their words, whatever the pattern (a regular expression may take for ever).
    """
    words = routing_key.split(".")
    # One row of the table of "does pattern[:p] fit words[:w]".
    fits = [True] + [False] * len(words)
    for part in pattern.split("."):
        if part == "#":
            for index in range(1, len(fits)):
                fits[index] = fits[index] or fits[index - 1]
        else:
            fits = [False] + [fits[index] and part in {"*", word} for index, word in enumerate(words)]
    return fits[-1]


def binding_matches(kind: str, binding_key: str, routing_key: str) -> bool:
    """Say whether an exchange of *kind* passes *routing_key* through a binding with *binding_key*."""
    if kind == "fanout":
        return True
    return binding_key == routing_key or (kind == "topic" and topic_matches(binding_key, routing_key))


def headers_match(wanted: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Say whether *headers* fulfil a headers binding: all of it, or any with ``x-match: any`` (B867)."""
    needed = [(name, value) for name, value in wanted.items() if not name.startswith("x-")]
    hits = (headers.get(name) == value and name in headers for name, value in needed)
    return any(hits) if str(wanted.get("x-match", "all")).startswith("any") else all(hits)


class Bindings:
    """Every exchange with the queues bound to it. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._bound: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def declare(self, queue: Queue) -> None:
        """Bind *queue* to its exchanges."""
        for exchange, key in ((queue.exchange, queue.routing_key), *queue.bindings):
            if exchange.name:
                self._kinds.setdefault(exchange.name, exchange.kind)
                self._bound.setdefault(exchange.name, {})[queue.name, key] = queue.binding_arguments
        self._known.clear()

    def forget(self, queue: str) -> None:
        """Unbind *queue* from everything."""
        for bound in self._bound.values():
            for binding in [binding for binding in bound if binding[0] == queue]:
                del bound[binding]
        self._known.clear()

    def route(self, exchange: str, key: str, headers: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the queues that a message to *exchange* with *key* goes to, each once."""
        kind = self._kinds.get(exchange, "direct")
        bound = self._bound.get(exchange, {})
        if kind == "headers":
            return tuple(dict.fromkeys(name for (name, _), wanted in bound.items() if headers_match(wanted, headers)))
        found = self._known.get((exchange, key))
        if found is None:
            found = tuple(dict.fromkeys(name for name, pattern in bound if binding_matches(kind, pattern, key)))
            if len(self._known) < _REMEMBERED:
                self._known[exchange, key] = found
        return found
