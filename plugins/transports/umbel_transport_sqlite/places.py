"""A message's place in its queue as one 63-bit number, so that the table itself is the only index.

From the highest bit down: the queue's number (20 bits), its region (5), a running number (38). The regions of a queue
come in the order in which they are taken: priority 9 to 0, and of each priority first what was given back, then what
is fresh. Publishing appends at the end of a region and claiming takes from the beginning of a queue, so

* one range scan yields the next messages, whatever their priorities;
* a fresh region has no holes: its size is its last number minus its first, however long it is.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "LAST_QUEUE",
    "NUMBER_BITS",
    "QUEUE_SHIFT",
    "REGION_BITS",
    "bounds",
    "is_fresh",
    "priority_of",
    "queue_bounds",
    "queue_of",
    "region",
]

NUMBER_BITS: Final = 38
REGION_BITS: Final = 5
QUEUE_SHIFT: Final = NUMBER_BITS + REGION_BITS
_LAST: Final = (1 << NUMBER_BITS) - 1
LAST_QUEUE: Final = (1 << 20) - 1


def region(queue: int, priority: int) -> int:
    """Return the region of *queue* for fresh messages of *priority*. The one below it is for those given back."""
    return queue << REGION_BITS | (9 - min(max(priority, 0), 9)) * 2 + 1


def bounds(of_region: int) -> tuple[int, int]:
    """Return the first and the last place of a region. The first is never used: places begin after it."""
    return of_region << NUMBER_BITS, of_region << NUMBER_BITS | _LAST


def queue_bounds(queue: int) -> tuple[int, int]:
    """Return the first and the last place of *queue*."""
    return queue << QUEUE_SHIFT, (queue + 1 << QUEUE_SHIFT) - 1


def queue_of(of_region: int) -> int:
    """Return the number of the queue of a region."""
    return of_region >> REGION_BITS


def priority_of(of_region: int) -> int:
    """Return the priority of the messages of a region, fresh or given back."""
    return 9 - (of_region & (1 << REGION_BITS) - 1) // 2


def is_fresh(of_region: int) -> bool:
    """Whether a region holds what was published and never handed out."""
    return bool(of_region & 1)
