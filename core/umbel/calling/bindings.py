"""Which routing keys a binding lets through, as AMQP says."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["binding_matches"]


@lru_cache(maxsize=1024)
def _topic(pattern: str) -> re.Pattern[str]:
    """Compile a topic pattern: ``*`` is one word, ``#`` zero or more; words are parted by dots."""
    regex = ""
    for word in pattern.split("."):
        if word == "#":
            regex += r"(?:\.[^.]*)*"
        elif word == "*":
            regex += r"\.[^.]*"
        else:
            regex += r"\." + re.escape(word)
    return re.compile(regex)


def binding_matches(kind: str, binding_key: str, routing_key: str) -> bool:
    """Say whether an exchange of *kind* passes *routing_key* through a binding with *binding_key*."""
    if kind == "fanout":
        return True
    if kind == "topic":
        return _topic(binding_key).fullmatch("." + routing_key) is not None
    return binding_key == routing_key
