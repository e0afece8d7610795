"""What came back from a broadcast, and who has answered, who not, and who twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from umbel.exceptions import DuplicateNodenameWarning
from umbel.protocol.control import ControlReply, matches_pattern

__all__ = ["Gathering", "Replies", "flatten_reply"]


class Replies(list[dict[str, Any]]):
    """The answers in the order in which they came, ``[{node: answer}, ...]``.

    *silent*: nodes that are believed alive, or were named as destination, and have not answered in time. *duplicates*:
    names under which more than one worker answered, with the process ids as far as they are known.
    """

    def __init__(self, replies: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(replies)
        self.silent: list[str] = []
        self.duplicates: dict[str, list[int | None]] = {}


def flatten_reply(reply: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``[{node: answer}, ...]`` as ``{node: answer, ...}``; warns of a node that has answered twice [B584].

    The warning is a :class:`~umbel.exceptions.DuplicateNodenameWarning`.
    """
    nodes: dict[str, Any] = {}
    twice: dict[str, None] = {}
    for item in reply:
        twice.update(dict.fromkeys(name for name in item if name in nodes))
        nodes.update(item)
    if twice:
        known = reply.duplicates if isinstance(reply, Replies) else {}
        warnings.warn(DuplicateNodenameWarning(_warning(sorted(twice), known)), stacklevel=2)
    return nodes


def _warning(names: Sequence[str], pids: Mapping[str, Sequence[int | None]]) -> str:
    told = []
    for name in names:
        known = ", ".join(str(pid) for pid in pids.get(name, ()) if pid is not None)
        told.append(f"{name} (processes {known})" if known else name)
    return (
        f"received more than one reply from {'; '.join(told)}: workers must not share a name, give each its own with "
        "the option -n"
    )


class Gathering:
    """Collects replies and knows when all are there. Used by one thread.

    *destination* and *pattern* are the request's; *limit* is the most replies that are wanted.
    """

    def __init__(
        self,
        destination: Sequence[str] | None,
        pattern: str | None,
        matcher: str | None,
        limit: int | None,
        callback: Callable[[dict[str, Any]], Any] | None,
    ) -> None:
        self.replies = Replies()
        self._destination = set(destination or ())
        self._pattern, self._matcher = pattern, matcher
        self._limit = limit
        self._callback = callback
        self._pids: dict[str, list[int | None]] = {}
        self._alive: set[str] = set()

    def add(self, reply: ControlReply) -> None:
        """Take one answer."""
        self._pids.setdefault(reply.node, []).append(reply.pid)
        if reply.peers is not None:
            self._alive |= reply.peers | {reply.node}
        body = dict(reply.body)
        self.replies.append(body)
        if self._callback is not None:
            self._callback(body)

    @property
    def is_full(self) -> bool:
        """Whether no further reply is wanted."""
        return self._limit is not None and len(self.replies) >= self._limit

    @property
    def is_complete(self) -> bool:
        """Whether everybody who lives, or was named, has answered."""
        expected = self._expected()
        return bool(expected) and expected <= self._pids.keys()

    def _expected(self) -> set[str]:
        if self._destination:
            return self._destination
        if self._pattern is None:
            return self._alive
        return {name for name in self._alive if matches_pattern(name, self._pattern, self._matcher)}

    def finish(self) -> Replies:
        """Return the replies, with who was silent and who was double."""
        if not self.is_full:
            self.replies.silent = sorted(self._expected() - self._pids.keys())
        self.replies.duplicates = {name: pids for name, pids in self._pids.items() if len(pids) > 1}
        return self.replies
