"""The file that the processes around one doorbell map into their memory: who waits, and for what.

Private to :mod:`umbel.doorbell`. One byte a slot says "armed"; they stand side by side, so that "does anybody wait?" is
one comparison of memory. Only a slot's owner writes its topics and arms it; taking and freeing slots is done under the
file's lock. Nothing here needs to be atomic beyond a byte: a ringer that reads a slot while its owner rewrites it finds
a listener that has not yet looked into the store (it looks after arming).
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

__all__ = ["SlotFile", "checksum"]

CAPACITY: Final = 1024
_FLAGS: Final = slice(0, CAPACITY)
_NOBODY: Final = bytes(CAPACITY)
_ARMED: Final = 1
#: A slot: the listener's token (16 hexadecimal digits, zeros when free), how many topics, then their checksums.
_HEAD: Final = struct.Struct("=16sH2x")
_SLOT_SIZE: Final = 256
_MOST_TOPICS: Final = (_SLOT_SIZE - _HEAD.size) // 4
_EVERYTHING: Final = 0xFFFF
_FREE: Final = bytes(16)
_FILE_SIZE: Final = CAPACITY + CAPACITY * _SLOT_SIZE
#: How many taken slots are tested for life whenever a slot is asked for; all of them when none is free.
_SWEEP: Final = 8


def checksum(topic: str) -> int:
    """Return what stands for *topic* in a slot; the same in every process, as ``hash()`` is not."""
    return zlib.crc32(topic.encode("utf-8", "surrogatepass"))


class SlotFile:
    """The mapped file at *path*, made (for this user alone) when it is missing. Raises ``OSError``.

    The mapping stays valid in forks, and for as long as anybody holds this object.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with self._locked():
                if os.fstat(self._file).st_size < _FILE_SIZE:
                    os.ftruncate(self._file, _FILE_SIZE)
            self._shared = mmap.mmap(self._file, _FILE_SIZE)
        except BaseException:
            os.close(self._file)
            raise

    def __del__(self) -> None:
        # Not sooner: another thread may be looking at the flags. (The attribute is missing when opening failed.)
        if hasattr(self, "_shared"):
            self._shared.close()
            os.close(self._file)

    def is_current(self) -> bool:
        """Whether this is still the file that others find at the path."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except OSError:
            return False

    def is_quiet(self) -> bool:
        """Whether nobody at all waits."""
        return self._shared[_FLAGS] == _NOBODY

    def armed(self, start: int) -> Iterator[int]:
        """Yield the slots that were armed at the time of the call, from *start* on and around."""
        flags = self._shared[_FLAGS]
        for first, end in ((start, CAPACITY), (0, start)):
            slot = flags.find(_ARMED, first, end)
            while slot >= 0:
                yield slot
                slot = flags.find(_ARMED, slot + 1, end)

    def match(self, slot: int, wanted: set[int]) -> str | None:
        """Return the token of the listener in *slot* if it waits for any of the checksums *wanted*."""
        at = self._offset(slot)
        token: bytes
        count: int
        token, count = _HEAD.unpack_from(self._shared, at)
        if count != _EVERYTHING:
            count = min(count, _MOST_TOPICS)
            if wanted.isdisjoint(struct.unpack_from(f"={count}I", self._shared, at + _HEAD.size)):
                return None
        return token.decode("ascii", "replace")

    def arm(self, slot: int, *, armed: bool) -> None:
        """Raise or lower the flag of *slot*."""
        self._shared[slot] = _ARMED if armed else 0

    def owns(self, slot: int, token: str) -> bool:
        """Whether *slot* is (still) that of *token*."""
        return self._token(slot) == token.encode("ascii")

    def set_topics(self, slot: int, token: str, topics: Iterable[int]) -> None:
        """Write the checksums that the owner of *slot* waits for; more than fit mean everything."""
        checksums = sorted(topics)
        at, count = self._offset(slot), len(checksums)
        if count > _MOST_TOPICS:
            count = _EVERYTHING
        else:
            struct.pack_into(f"={count}I", self._shared, at + _HEAD.size, *checksums)
        _HEAD.pack_into(self._shared, at, token.encode("ascii"), count)

    def acquire(self, token: str, is_alive: Callable[[str], bool]) -> tuple[int | None, list[str]]:
        """Take a slot for *token*; return it (``None`` when all are taken) and the tokens of the dead found on the way."""
        with self._locked():
            free, dead = self._find_free(is_alive)
            if free is not None:
                self._shared[free] = 0
                _HEAD.pack_into(self._shared, self._offset(free), token.encode("ascii"), 0)
            return free, dead

    def release(self, slot: int, token: str) -> None:
        """Free *slot* if it is still that of *token*."""
        with self._locked():
            if self._token(slot) == token.encode("ascii", "replace"):
                self._clear(slot)

    def _find_free(self, is_alive: Callable[[str], bool]) -> tuple[int | None, list[str]]:
        free: int | None = None
        dead: list[str] = []
        tested = 0
        for slot in range(CAPACITY):
            if free is not None and tested >= _SWEEP:
                break
            held = self._token(slot)
            if held != _FREE:
                tested += 1
                token = held.decode("ascii", "replace")
                if is_alive(token):
                    continue
                dead.append(token)
                self._clear(slot)
            if free is None:
                free = slot
        return free, dead

    def _token(self, slot: int) -> bytes:
        at = self._offset(slot)
        return self._shared[at : at + 16]

    def _clear(self, slot: int) -> None:
        at = self._offset(slot)
        self._shared[slot] = 0
        self._shared[at : at + _HEAD.size] = bytes(_HEAD.size)

    @staticmethod
    def _offset(slot: int) -> int:
        return CAPACITY + slot * _SLOT_SIZE

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file's lock against other processes: for microseconds, and the dead never hold it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
