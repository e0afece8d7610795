"""Wakes those who wait for something in a store, in any process of this machine, without polling.

A store that is a file (SQLite, a folder of messages) can say what is in it, but not *when* something came in. The
doorbell says when. It is one folder beside the store::

    <directory>/slots-1       a small file that every process maps into its memory: who waits, and for what
    <directory>/<token>       one FIFO a listener; a byte in it wakes that listener

Whoever waits::

    with bell.listen(["q:celery"]) as listener:
        while not stopped:
            listener.arm()                      # 1. say that we are about to sleep
            if found := look_into_the_store():  # 2. look once more: what came before the arming is seen here
                listener.disarm()
                return found
            listener.wait(1.0)                  # 3. what comes after the arming rings

Whoever writes commits first and then calls ``bell.ring(["q:celery"])``. When nobody waits this is a comparison of one
kilobyte of shared memory, without a system call.

The order arm, look, wait leaves no gap. Yet a ringer may be killed between taking a listener's flag and writing its
byte, so **look again every second or so** (the bound of ``wait``): the doorbell makes waiting quick, the store stays
the truth. A wake-up is a hint: topics are compared by a checksum, and others may have taken what came.

Where the folder cannot be written, or its file system has no FIFOs, nothing raises: :attr:`Listener.is_polling` is
true, and ``wait`` returns after pauses that grow from 2 to 100 ms, for the caller to look again.

A listener's FIFO is also a proof of life: the system closes it with its process, however that ends, so
:meth:`Doorbell.is_listening` tells whether the process that made it is still there, without process ids, which are
used again and differ between containers.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import select
import threading
from collections import OrderedDict
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from umbel.doorbell_slots import CAPACITY, SlotFile, checksum

__all__ = ["Doorbell", "Listener"]

logger = logging.getLogger(__name__)

#: The version stands in the file's name, so that another layout never meets this one.
_SLOTS_FILE: Final = "slots-1"
#: FIFOs of others that are kept open for writing.
_MOST_OPEN: Final = 64
_PAUSE_MIN_S: Final = 0.002
_PAUSE_MAX_S: Final = 0.1
_NOBODY_READS: Final = frozenset({errno.ENXIO, errno.ENOENT, errno.EPIPE, errno.ENOTDIR})


class Doorbell:
    """The doorbell in *directory*, which is made (for this user alone) when it is first needed.

    Any thread may call any method. Cheap to make. In a forked child it may be rung; listeners are to be made anew.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._slots: SlotFile | None = None
        self._is_broken = False
        self._writers: OrderedDict[str, int] = OrderedDict()
        self._turn = 0

    def listen(self, topics: Iterable[str] = ()) -> Listener:
        """Return a new listener for *topics*, not yet armed. Never raises: where it cannot be rung it polls."""
        return Listener(self, topics)

    def ring(self, topics: Iterable[str], at_most: int | None = None) -> int:
        """Wake the listeners that wait for any of *topics*, or *at_most* so many of them; return how many.

        To be called after the change is committed. Never raises and never blocks.
        """
        slots = self._slots or self._open()
        if slots is None or slots.is_quiet():
            return 0
        wanted = {checksum(topic) for topic in topics}
        # From another one on each time, so that no listener is always the first.
        self._turn = (self._turn + 1) % CAPACITY
        rung = 0
        for slot in slots.armed(self._turn):
            if at_most is not None and rung >= at_most:
                break
            token = slots.match(slot, wanted)
            if token is None:
                continue
            # The flag is taken before the byte is written: the other way round, a listener that woke and armed itself
            # in between would sleep with its flag down.
            slots.arm(slot, armed=False)
            if self._send(token):
                rung += 1
            else:
                self._bury(slots, slot, token)
        return rung

    def is_listening(self, token: str) -> bool:
        """Whether the listener of this ``Listener.token``, or a fork of its process, is still there."""
        if not token.isalnum():  # a damaged file may name anything, paths and what is no path at all
            return False
        try:
            os.close(os.open(os.path.join(self.directory, token), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            # Out of descriptors says nothing of the other; no FIFO, or one that nobody reads, does.
            return error.errno not in _NOBODY_READS
        return True

    def close(self) -> None:
        """Let go of the mapping and of kept FIFOs. Ringing or listening opens them anew."""
        with self._lock:
            self._slots = None
            while self._writers:
                os.close(self._writers.popitem()[1])

    def _open(self) -> SlotFile | None:
        with self._lock:
            if self._slots is None and not self._is_broken:
                try:
                    os.makedirs(self.directory, mode=0o700, exist_ok=True)
                    self._slots = SlotFile(os.path.join(self.directory, _SLOTS_FILE))
                except OSError as error:
                    self._is_broken = True
                    logger.warning("no doorbell in %s (%s): waiting there polls", self.directory, error)
            return self._slots

    def _reopen(self) -> SlotFile | None:
        """Return the slots that others see now: somebody may have tidied the folder away."""
        with self._lock:
            if self._slots is not None and not self._slots.is_current():
                self._slots = None
        return self._open()

    def _acquire(self, slots: SlotFile, token: str) -> int | None:
        slot, dead = slots.acquire(token, self.is_listening)
        self._remove(dead)
        return slot

    def _bury(self, slots: SlotFile, slot: int, token: str) -> None:
        with contextlib.suppress(OSError):  # the next one who finds it will try again
            slots.release(slot, token)
        self._remove([token])

    def _remove(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            if token.isalnum():  # whatever else a damaged file may name
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self.directory, token))

    def _send(self, token: str) -> bool:
        """Write a byte into the FIFO *token*; false when nobody reads it any more."""
        if not token.isalnum():
            return False
        if self._pid != os.getpid():
            # After a fork the lock may be held by a thread that does not exist here; the mapping is shared and good.
            self._pid = os.getpid()
            self._lock = threading.Lock()
        with self._lock:  # a descriptor must not be closed, and its number used again, between look-up and write
            try:
                os.write(self._writers.get(token) or self._keep(token), b"!")
            except BlockingIOError:
                return True  # full of bytes: it will wake
            except OSError as error:
                stale = self._writers.pop(token, None)
                if stale is not None:
                    os.close(stale)
                return error.errno not in _NOBODY_READS
            return True

    def _keep(self, token: str) -> int:
        path = os.path.join(self.directory, token)
        writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._writers[token] = writer
        if len(self._writers) > _MOST_OPEN:
            os.close(self._writers.popitem(last=False)[1])
        return writer


class Listener:
    """One who waits. One thread at a time uses it; only :meth:`wake` may be called from any.

    ``token`` names it for :meth:`Doorbell.is_listening`; empty while :attr:`is_polling`.
    """

    def __init__(self, bell: Doorbell, topics: Iterable[str] = ()) -> None:
        self._bell = bell
        # Reentrant, since a signal handler may call wake() in the midst of wake().
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._topics = {checksum(topic) for topic in topics}
        self._is_closed = False
        self._pause_s = _PAUSE_MIN_S
        self._slots: SlotFile | None = None
        self._slot = -1
        self.token = ""
        # Both ends of the listener's FIFO, or of a pipe while it polls.
        self._reader, self._writer = -1, -1
        self._poll = select.poll()
        self._enter()

    def __enter__(self) -> Self:
        return self

    def __del__(self) -> None:
        # A forgotten listener must not count as a living one. (No poll object: __init__ did not come that far.)
        if hasattr(self, "_poll"):
            self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_polling(self) -> bool:
        """Whether nobody can ring, so that :meth:`wait` returns after a short while in any case."""
        return self._slots is None

    def listen_to(self, topics: Iterable[str]) -> None:
        """Wait for *topics* from now on, instead of those before. To be armed anew afterwards.

        Any number of topics will do; above some sixty the listener is woken by every ring.
        """
        self._topics = {checksum(topic) for topic in topics}
        if self._slots is not None and self._slots.owns(self._slot, self.token):
            self._slots.set_topics(self._slot, self.token, self._topics)

    def arm(self) -> None:
        """Ask to be rung. Look into the store after this and before waiting."""
        if self._slots is not None and not self._slots.owns(self._slot, self.token):
            self._reenter()
        if self._slots is not None:
            self._slots.arm(self._slot, armed=True)

    def disarm(self) -> None:
        """Ask not to be rung: something was found."""
        self._pause_s = _PAUSE_MIN_S
        if self._slots is not None and self._slots.owns(self._slot, self.token):
            self._slots.arm(self._slot, armed=False)

    def wait(self, timeout_s: float) -> bool:
        """Block until somebody rings or wakes, at most *timeout_s*; say whether to look into the store again.

        A :meth:`wake` or a ring that came since the last wait makes it return at once.
        """
        bound_s = min(timeout_s, self._pause_s) if self.is_polling else timeout_s
        called = bool(self._poll.poll(max(0, math.ceil(bound_s * 1000))))
        if called:
            # Before the next arming, so that no byte that follows it is swallowed.
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 512)
        if self.is_polling:
            self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)
            return True
        if not called and not os.path.exists(os.path.join(self._bell.directory, self.token)):
            self._reenter()
        return called

    def wake(self) -> None:
        """Make a blocked (or the next) :meth:`wait` return now. Any thread may call this; never blocks."""
        with self._lock:
            if not self._is_closed:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._writer, b"!")

    def close(self) -> None:
        """Let go of the slot and the FIFO. May be called twice; a forked child leaves them to its parent."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._leave()

    def _enter(self) -> None:
        slots = self._bell._reopen()
        token = os.urandom(8).hex()
        slot: int | None = None
        if slots is not None:
            path = os.path.join(self._bell.directory, token)
            try:
                os.mkfifo(path, 0o600)
                self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                # A writer of its own: without any, the reading end would be ready all the time.
                self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                slot = self._bell._acquire(slots, token)
            except OSError as error:
                logger.warning("no FIFO in %s (%s): waiting there polls", self._bell.directory, error)
        if slots is None or slot is None:
            self._enter_polling(token)
        else:
            self._slots, self._slot, self.token = slots, slot, token
            slots.set_topics(slot, token, self._topics)
        self._poll.register(self._reader, select.POLLIN)

    def _enter_polling(self, token: str) -> None:
        self._close_ends()
        self._bell._remove([token])
        self._slots, self.token = None, ""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def _reenter(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._leave()
                self._enter()

    def _leave(self) -> None:
        self._poll.unregister(self._reader)
        self._close_ends()
        slots, self._slots = self._slots, None
        if slots is not None and self._pid == os.getpid():
            self._bell._bury(slots, self._slot, self.token)

    def _close_ends(self) -> None:
        for descriptor in (self._reader, self._writer):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader = self._writer = -1
