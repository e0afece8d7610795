"""Names of nodes, and the abbreviations that stand for their parts in options and file names."""

from __future__ import annotations

import re
import socket
from functools import lru_cache

__all__ = ["DEFAULT_NAME", "expand", "node_name", "split_node"]

#: The part before the ``@`` when the user gives none.
DEFAULT_NAME = "umbel"

_ABBREVIATION = re.compile(r"%(.)")


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname() or "localhost"


def split_node(node: str) -> tuple[str, str]:
    """Split ``name@host``; without ``@`` all of it is the host, as in Celery."""
    name, at, host = node.partition("@")
    return (name, host) if at else ("", name)


def node_name(given: str | None) -> str:
    """Return the full name of a node: ``w1`` and ``w1@%h`` become ``w1@this-host``; nothing becomes ``umbel@this-host``.

    ``%h`` stands for the host name with its domain, ``%n`` for the host name alone, ``%d`` for the domain.
    """
    if not given:
        return f"{DEFAULT_NAME}@{_host()}"
    if "@" not in given:
        given = f"{given}@%h"
    short, _, domain = _host().partition(".")
    return _substitute(given, {"h": _host(), "n": short, "d": domain, "i": "%i", "I": "%I"})


def expand(text: str, node: str, process_index: str = "") -> str:
    """Expand the abbreviations in *text* (a file name) for the node *node*.

    ``%h`` the node's full name, ``%n`` its part before the ``@``, ``%d`` its host; ``%i`` the pool process's number
    (empty in the worker itself), ``%I`` the same with a dash in front; ``%%`` a per cent sign.
    """
    name, host = split_node(node)
    dashed = f"-{process_index}" if process_index else ""
    return _substitute(text, {"h": node, "p": node, "n": name, "d": host, "i": process_index, "I": dashed})


def _substitute(text: str, values: dict[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        key = match.group(1)
        return "%" if key == "%" else values.get(key, match.group(0))

    return _ABBREVIATION.sub(one, text)
