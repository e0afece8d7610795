"""The pool's view of one child process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from umbel.spi import Job
from umbel_pool_prefork._frames import FrameReader, Report, encode_frame
from umbel_pool_prefork._slots import Slot

__all__ = ["Cause", "ChildHandle", "describe_exit"]

#: How long a child with work may be silent before it counts as held up by a long job.
SILENCE_NS = 5_000_000


class Cause(NamedTuple):
    """Why the pool killed a child: *kind* is ``timed_out``, ``terminated`` or ``cut``."""

    kind: str
    job_id: int
    limit_s: float = 0.0
    signal: str = ""


class ChildHandle:
    """One child: its socket, its slot, its backlog. Owned by the pool's I/O thread; others may read the numbers."""

    def __init__(self, index: int, slot: Slot, now_ns: int) -> None:
        self.index = index
        self.slot = slot
        self.pid = 0
        self.born_ns = now_ns
        self.ready = False  # has said hello
        self.leaving = False  # gets no more jobs
        self.closed = False  # its socket is at an end
        self.orphaned = False  # its server is gone, and so is it in a moment
        self.is_watched = False  # the selector waits for room to write
        self.jobs_done = 0
        #: Given and not yet reported: id -> (job, expected run time in ns), in the order in which they were given.
        self.outstanding: dict[int, tuple[Job, int]] = {}
        self.load_ns = 0
        self.limited: dict[int, Job] = {}
        #: Not before this can a limit of one of its jobs be over.
        self.limit_due_ns: int | None = None
        self.warned: int | None = None
        self.doomed: dict[int, str] = {}
        self.heard_ns = now_ns
        self.nudge_at_ns = 0
        self.is_nudged = False
        self.cause: Cause | None = None
        self.last_words = ""
        #: When to send SIGKILL if it is still there by then.
        self.kill_at_ns: int | None = None
        self.connection, self.childs_end = socket.socketpair()
        self.connection.setblocking(False)
        self.nudges_out, self._nudges_in = os.pipe()
        os.set_blocking(self._nudges_in, False)
        self._frames = FrameReader()
        self._unsent: deque[memoryview[int]] = deque()

    # -- what to give it ----------------------------------------------------------------------------------------------

    def is_held_up(self, now_ns: int) -> bool:
        """Say whether a job of it runs longer than was expected of all."""
        return bool(self.outstanding) and now_ns - self.heard_ns > SILENCE_NS

    def give(self, jobs: Sequence[tuple[Job, int]], now_ns: int) -> None:
        """Add *jobs*, each with its expected run time, to the backlog and start sending them."""
        if not self.outstanding:
            self.hear(now_ns)
        outstanding = self.outstanding
        batch = []
        for entry in jobs:
            job, expected_ns = entry
            outstanding[job.id] = entry
            self.load_ns += expected_ns
            if job.time_limit_s is not None or job.soft_time_limit_s is not None:
                self.limited[job.id] = job
                self.watch(job, now_ns)
            batch.append((job.id, job.payload))
        self._send(batch)

    def hear(self, now_ns: int) -> None:
        """Take note of a sign that it gets on with its work."""
        self.heard_ns = now_ns
        self.nudge_at_ns = now_ns + SILENCE_NS

    def watch(self, job: Job, now_ns: int) -> None:
        """See to it that the limits of *job*, which has not started before *now_ns*, are looked at in time."""
        limit_s = min(limit for limit in (job.time_limit_s, job.soft_time_limit_s) if limit is not None)
        due_ns = now_ns + int(limit_s * 1e9)
        if self.limit_due_ns is None or due_ns < self.limit_due_ns:
            self.limit_due_ns = due_ns

    def take_back(self, job_id: int) -> Job | None:
        """Remove a job from the backlog: it ended, or the child will not run it."""
        entry = self.outstanding.pop(job_id, None)
        if entry is None:
            return None
        self.load_ns -= entry[1]
        if self.limited:
            self.limited.pop(job_id, None)
        return entry[0]

    # -- what to tell it ----------------------------------------------------------------------------------------------

    def ask_to_leave(self) -> None:
        """Let it finish the job that it runs, and start no other."""
        self.leaving = True
        self.slot.ask_to_leave()
        self._send([])  # wakes it when it waits for jobs

    def nudge(self) -> None:
        """Ask it to hand over what waits behind a long job. It gets nothing more until it has answered.

        Else jobs given meanwhile would overtake those that come back.
        """
        if not self.is_nudged:
            self.is_nudged = True
            with contextlib.suppress(OSError):  # a dead reader needs no nudge
                os.write(self._nudges_in, b"n")

    def answered(self, now_ns: int) -> None:
        """Take note of the answer to a nudge."""
        self.is_nudged = False
        self.nudge_at_ns = now_ns + SILENCE_NS

    # -- the socket ---------------------------------------------------------------------------------------------------

    @property
    def is_writing(self) -> bool:
        """Whether something is left to be sent when the socket has room again."""
        return bool(self._unsent)

    def _send(self, content: Any) -> None:
        idle = not self._unsent
        self._unsent.extend(memoryview(piece) for piece in encode_frame(content))
        if idle:
            self.write()

    def write(self) -> None:
        """Send as much as goes without waiting."""
        unsent = self._unsent
        try:
            while unsent:
                piece = unsent[0]
                sent = self.connection.send(piece)
                if sent < len(piece):
                    unsent[0] = piece[sent:]
                else:
                    unsent.popleft()
        except BlockingIOError:
            return
        except OSError:  # it is dead or dying; reading says so, and its jobs are still in the backlog
            unsent.clear()

    def read(self, buffer: memoryview[int]) -> list[Report] | None:
        """Return the reports that have come, ``None`` when there is nothing to read.

        Sets :attr:`closed` at the end of the stream. ``ValueError`` when what came is no frame.
        """
        try:
            size = self.connection.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError:
            size = 0
        if size == 0:
            self.closed = True
            return None
        try:
            return self._frames.feed(buffer[:size])
        except (ValueError, EOFError, TypeError) as error:
            self.closed = True
            raise ValueError(f"expected a frame, got bytes that are none: {error}") from error

    def hand_over_ends(self) -> None:
        """Close this process's copies of the child's ends, once they are on their way."""
        self.childs_end.close()
        os.close(self.nudges_out)

    def close(self) -> None:
        """Close the pool's ends; the child, if it lives, exits."""
        self.connection.close()
        os.close(self._nudges_in)


def describe_exit(exit_code: int) -> str:
    """Say in words how a process ended; negative codes are signals."""
    if exit_code >= 0:
        known = {
            70: ": the executor failed",
            74: ": it lost its connection to the pool",
            78: ": it could not get ready",
        }
        return f"ended with exit code {exit_code}{known.get(exit_code, '')}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = {"SIGKILL": ", maybe out of memory", "SIGSEGV": ", a crash in native code"}.get(name, "")
    return f"was killed by signal {-exit_code} ({name}{hint})"
