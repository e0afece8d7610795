"""The server at work, and the one that stands by to take its place."""

from __future__ import annotations

import functools
import logging
import selectors
import socket
import time
from collections.abc import Callable

from umbel_pool_prefork._server_link import ServerLink

__all__ = ["Record", "Servers"]

_log = logging.getLogger("umbel.pool.prefork")

#: So many servers in a row that die before a child of theirs is ready, and the pool gives up.
_MAX_STILLBORN = 5
#: How soon another substitute is asked for when one was lost.
_SUBSTITUTE_PAUSE_NS = 500_000_000

Record = tuple[int, int, int, int]


class Servers:
    """Speaks with the server at work. Belongs to the pool's I/O thread.

    *heard* gets its records. When it dies and the other one has taken over, *replaced* is called; when there is none,
    *lost*, with the reason.
    """

    def __init__(
        self,
        first: ServerLink,
        selector: selectors.BaseSelector,
        heard: Callable[[list[Record]], None],
        replaced: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._active = first
        self._substitute: ServerLink | None = None
        self._selector = selector
        self._heard = heard
        self._replaced = replaced
        self._lost = lost
        self._stillborn = 0
        #: When a substitute is to be asked for, if at all.
        self.due_ns: int | None = 0
        self._watch(first)

    @property
    def pid(self) -> int:
        """The process id of the server at work."""
        return self._active.pid

    @property
    def substitute_pid(self) -> int:
        """The process id of the other one; 0 while there is none."""
        return 0 if self._substitute is None else self._substitute.pid

    def fork(self, slot: int, connection: socket.socket, nudges: int) -> None:
        """Ask for a child in *slot* with these ends of its socket and its pipe. ``OSError`` when the server is gone."""
        self._active.fork(slot, connection, nudges)

    def kill(self, slot: int, number: int) -> None:
        """Ask to send signal *number* to the child in *slot*, if it is still there."""
        self._active.kill(slot, number)

    def keep(self, now_ns: int) -> None:
        """See to it that there is a substitute."""
        if self.due_ns is None or now_ns < self.due_ns:
            return
        try:
            self._substitute = self._active.order_substitute()
        except OSError:  # no descriptors, or the server is gone, which reading tells
            self.due_ns = now_ns + _SUBSTITUTE_PAUSE_NS
            return
        self.due_ns = None
        self._watch(self._substitute)

    def note_child(self) -> None:
        """Take note that a child is ready: this server is of use."""
        self._stillborn = 0

    def close(self) -> None:
        """Let the servers kill what is left of the children and exit."""
        if self._substitute is not None:
            self._substitute.close()
        self._active.close()

    def _watch(self, link: ServerLink) -> None:
        self._selector.register(link.control, selectors.EVENT_READ, functools.partial(self._read, link))

    def _read(self, link: ServerLink, mask: int) -> None:
        if link is not self._active and link is not self._substitute:
            return  # it died in this very round
        records = link.receive()
        if records is not None:
            if records:
                self._heard(records)
            return
        self._selector.unregister(link.control)
        if link is self._active:
            self._take_over()
            return
        link.bury()
        self._substitute = None
        self.due_ns = time.monotonic_ns() + _SUBSTITUTE_PAUSE_NS

    def _take_over(self) -> None:
        dead, substitute = self._active, self._substitute
        self._stillborn += 1
        if substitute is None or self._stillborn >= _MAX_STILLBORN:
            why = f"{self._stillborn} of them in a row" if substitute is not None else "and so is its substitute"
            self._lost(f"the pool's server process (pid {dead.pid}) is gone, {why}; restart the worker")
            return
        dead.bury()
        self._active, self._substitute = substitute, None
        self.due_ns = 0
        _log.error("the pool's server process (pid %d) is gone; process %d takes over", dead.pid, substitute.pid)
        self._replaced()
