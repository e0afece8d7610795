"""Exchanges and bindings: which queues get a copy of a message, as AMQP says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from umbel.model import Queue

__all__ = ["Bindings"]


@lru_cache(maxsize=1024)
def _topic_pattern(binding_key: str) -> re.Pattern[str]:
    """Compile a topic binding: ``*`` is one word, ``#`` any number of words, none included."""
    pattern = ""
    for word in binding_key.split("."):
        # Each word brings the dot before it, and the text that is matched begins with one.
        pattern += {"*": r"\.[^.]*", "#": r"(?:\.[^.]*)*"}.get(word, r"\." + re.escape(word))
    return re.compile(pattern)


def _headers_match(wanted: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
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
        if self._kinds.get(exchange) == "headers":
            bound = self._bound[exchange].items()
            return tuple(dict.fromkeys(name for (name, _), wanted in bound if _headers_match(wanted, headers)))
        found = self._known.get((exchange, key))
        if found is None:
            names = (name for name, pattern in self._bound.get(exchange, ()) if self._matches(exchange, pattern, key))
            found = tuple(dict.fromkeys(names))
            if len(self._known) < 10_000:  # keys may be made up by the senders of events without end
                self._known[exchange, key] = found
        return found

    def _matches(self, exchange: str, pattern: str, key: str) -> bool:
        kind = self._kinds[exchange]
        if kind == "fanout":
            return True
        if kind == "topic":
            return _topic_pattern(pattern).fullmatch("." + key) is not None
        return pattern == key
