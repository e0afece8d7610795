"""Memory that the pool and its children share: what each child runs, since when, and what it has not handed over yet.

One slot a child: eight 64-bit words (one cache line) and a journal. A single thread writes each word, aligned words are
written whole, and a job's start is written before its id; a reader that sees the same id before and after the start has
a pair that belongs together.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

__all__ = ["LEAVE", "RUNNING", "SOFT_TARGET", "STARTED_NS", "Slot", "Slots"]

#: Words of a slot. Job ids are stored plus one, so that zero says "none".
RUNNING, STARTED_NS, LEAVE, SOFT_TARGET, JOURNAL_END, BEGUN = range(6)

_WORDS = 8
_SLOT_BYTES = _WORDS * 8
_JOURNAL_BYTES = 32 * 1024
_ENTRY = struct.Struct("=QQQ")  # job id, run time in ns, length of the outcome that follows


class Slot:
    """One child's part of the shared memory."""

    __slots__ = ("journal", "words")

    def __init__(self, words: memoryview[int], journal: memoryview[int]) -> None:
        self.words = words
        self.journal = journal

    def reset(self) -> None:
        """Forget the last child of this slot; called by the pool before it asks for the next one."""
        for index in range(_WORDS):
            self.words[index] = 0

    def running(self) -> tuple[int, int] | None:
        """Return (job id, start in monotonic ns) of what the child runs now, or ``None``."""
        words = self.words
        while stored := words[RUNNING]:
            started = words[STARTED_NS]
            if words[RUNNING] == stored:
                return stored - 1, started
        return None

    def runs(self, job_id: int) -> bool:
        """Say whether the child runs this very job now."""
        return self.words[RUNNING] == job_id + 1

    @property
    def begun(self) -> bool:
        """Whether the child ever started a job."""
        return self.words[BEGUN] != 0

    def ask_to_leave(self) -> None:
        """Forbid the child to start another job. A job seen running *after* this call is the child's last."""
        self.words[LEAVE] = 1

    def interrupt(self, job_id: int) -> None:
        """Name the job that the next SIGUSR1 is meant for."""
        self.words[SOFT_TARGET] = job_id + 1

    def note(self, job_id: int, outcome: bytes, elapsed_ns: int) -> bool:
        """Write a finished job's outcome where it outlives the child; ``False`` when there is no room for it."""
        begin = self.words[JOURNAL_END]
        data = begin + _ENTRY.size
        end = data + len(outcome)
        if end > _JOURNAL_BYTES:
            return False
        _ENTRY.pack_into(self.journal, begin, job_id, elapsed_ns, len(outcome))
        self.journal[data:end] = outcome
        self.words[JOURNAL_END] = end
        return True

    def handed_over(self) -> None:
        """Empty the journal; called by the child when all that is in it has been sent."""
        self.words[JOURNAL_END] = 0

    def unsent(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield (job id, outcome, run time in ns) from the journal of a child that is dead."""
        position, end = 0, self.words[JOURNAL_END]
        while position < end:
            job_id, elapsed_ns, length = _ENTRY.unpack_from(self.journal, position)
            position += _ENTRY.size
            yield job_id, bytes(self.journal[position : position + length]), elapsed_ns
            position += length


class Slots:
    """All slots of a pool: one anonymous shared mapping, made before the first fork. Untouched pages cost nothing."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, count * (_SLOT_BYTES + _JOURNAL_BYTES))
        view = memoryview(self._memory)
        self._words = view[: count * _SLOT_BYTES].cast("Q")
        self._journals = view[count * _SLOT_BYTES :]

    def __getitem__(self, index: int) -> Slot:
        words = self._words[index * _WORDS : (index + 1) * _WORDS]
        return Slot(words, self._journals[index * _JOURNAL_BYTES : (index + 1) * _JOURNAL_BYTES])
