"""A message while it is in the worker's hands, and the table of those that run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from umbel.model import Delivery

__all__ = ["DELIVERIES", "Held", "HeldTogether", "Jobs", "delivery_count", "held_of"]

#: The header in which the worker counts deliveries on transports that cannot.
DELIVERIES: Final = "x-umbel-deliveries"


@attrs.define(eq=False)
class Held:
    """A delivery that became, or is about to become, a job.

    *generation* counts the consumers of this worker: a delivery of an earlier one can be settled no more through the
    present one. *acknowledged* is true once its message is gone from the broker before its end (``acks_late=False``).
    *count* is how often the message was handed out, also where the transport cannot count. *told_received* and
    *told_started* are true once monitors were told so; *received_at* is when it came in, where somebody wants to hear.
    """

    delivery: Delivery
    name: str
    task_id: str
    generation: int
    count: int = 1
    acknowledged: bool = False
    told_received: bool = False
    told_started: bool = False
    received_at: float = 0.0

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers, normalized."""
        return self.delivery.message.headers


@attrs.define(eq=False)
class HeldTogether(Held):
    """Several deliveries that became one job. Each of *members* has an end of its own."""

    members: Sequence[Held] = ()


def held_of(delivery: Delivery, generation: int) -> Held:
    """Return *delivery* as held, by what its headers say, however broken they are."""
    headers = delivery.message.headers
    get = headers.get if isinstance(headers, dict) else {}.get
    name, task_id = get("task"), get("id")
    return Held(
        delivery,
        name if isinstance(name, str) else "",
        task_id if isinstance(task_id, str) else "",
        generation,
        delivery_count(delivery),
    )


def delivery_count(delivery: Delivery) -> int:
    """Return how often the message was handed out, this time included, counted by the transport or by the worker."""
    earlier = delivery.message.headers.get(DELIVERIES)
    return delivery.delivery_count + (earlier if isinstance(earlier, int) and earlier > 0 else 0)


class Jobs:
    """The jobs given to the pool and not yet reported back, by id. Thread-safe (each step is one dict operation)."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._ids = itertools.count(1)
        #: What the hot paths use: the number of jobs, the next id, and taking one out (``None`` when it is gone).
        self.size = self._held.__len__
        self.next_id = self._ids.__next__
        self.pop = self._held.pop
        self.get = self._held.get

    def add(self, held: Held) -> int:
        """Enter *held* and return its job id."""
        job_id = self.next_id()
        self._held[job_id] = held
        return job_id

    def items(self) -> list[tuple[int, Held]]:
        """Return all (id, held), in the order in which they were entered; of several in one job each."""
        found: list[tuple[int, Held]] = []
        for job_id, held in list(self._held.items()):
            members = held.members if isinstance(held, HeldTogether) else (held,)
            found.extend((job_id, each) for each in members)
        return found

    def take(self, ids: Iterable[int]) -> list[Held]:
        """Remove *ids* and return what they stood for, one by one; ids that have ended are passed over."""
        taken: list[Held] = []
        for held in (self._held.pop(job_id, None) for job_id in ids):
            if held is not None:
                taken.extend(held.members if isinstance(held, HeldTogether) else (held,))
        return taken

    def take_all(self) -> list[Held]:
        """Remove and return everything."""
        return self.take(list(self._held))
