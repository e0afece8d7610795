"""Births of children: asks the server for those that are missing, and gives up when they die at once."""

from __future__ import annotations

import logging
import selectors
import time

from umbel_pool_prefork._process import ChildHandle
from umbel_pool_prefork._servers import Servers
from umbel_pool_prefork._slots import Slots

__all__ = ["Births"]

_log = logging.getLogger("umbel.pool.prefork")

#: A child that dies sooner than this without having begun a job is stillborn; so many in a row and the pool gives up.
_STILLBORN_NS = 5_000_000_000
_MAX_STILLBORN = 5
_PAUSE_NS = 50_000_000
_NO_DESCRIPTORS_PAUSE_NS = 1_000_000_000


class Births:
    """Fills the ranks of a crew. Belongs to the pool's I/O thread."""

    def __init__(self, slots: Slots, server: Servers, selector: selectors.BaseSelector) -> None:
        self._slots = slots
        self._server = server
        self._selector = selector
        #: When to look for missing children again, if at all.
        self.due_ns: int | None = 0
        #: How many died one after the other before their first job.
        self.stillborn = 0
        #: How the last child ended, for people.
        self.last_end = ""
        #: Why there can be no more children.
        self.failure: str | None = None

    def hurry(self) -> None:
        """Look for missing children in this round, or when the pause after a stillbirth is over."""
        self.due_ns = self.due_ns or 0

    def fill(self, children: dict[int, ChildHandle], wanted: int, now_ns: int) -> None:
        """Ask for children until *wanted* stay."""
        if self.due_ns is None or now_ns < self.due_ns:
            return
        self.due_ns = None
        missing = wanted - sum(1 for child in children.values() if not child.leaving)
        for index in range(self._slots.count):
            if missing <= 0 or self.failure or self.due_ns is not None:
                break
            if index not in children:
                self._fork(children, index, now_ns)
                missing -= 1

    def _fork(self, children: dict[int, ChildHandle], index: int, now_ns: int) -> None:
        slot = self._slots[index]
        slot.reset()
        try:
            child = ChildHandle(index, slot, now_ns)
        except OSError:
            _log.exception("no descriptors for another pool process; trying again in a second")
            self.due_ns = now_ns + _NO_DESCRIPTORS_PAUSE_NS
            return
        try:
            self._server.fork(index, child.childs_end, child.nudges_out)
        except OSError:  # it is gone: the next round tells, and gives it a successor
            child.close()
            self.due_ns = now_ns + _PAUSE_NS
            return
        finally:
            child.hand_over_ends()
        children[index] = child
        self._selector.register(child.connection, selectors.EVENT_READ, child)

    def note_end(self, child: ChildHandle, end: str) -> None:
        """Take note of a death, and plan the successor."""
        self.last_end = end
        now_ns = time.monotonic_ns()
        pause_ns = 0
        if child.slot.begun:
            self.stillborn = 0
        elif not child.leaving and now_ns - child.born_ns < _STILLBORN_NS:
            self.stillborn += 1
            pause_ns = _PAUSE_NS * 2**self.stillborn
            _log.error("%s before its first job", end)
            if self.stillborn >= _MAX_STILLBORN:
                self.failure = f"{self.stillborn} pool processes in a row died at start; the last: {end}"
        self.due_ns = max(self.due_ns or 0, now_ns + pause_ns)
