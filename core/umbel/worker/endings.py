"""What is still to be done about one message, and many of those as one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import attrs

from umbel.model import ChordPart, Commit, Delivery, Publication, Settlement, TaskMeta
from umbel.worker.held import Held

__all__ = ["Ending", "Verdict", "merge", "requeue_settlements"]


class Verdict(Enum):
    """What becomes of the message itself."""

    ACK = "ack"
    REJECT = "reject"
    REQUEUE = "requeue"
    NOTHING = "nothing"


@attrs.define(eq=False)
class Ending:
    """The end of one message's stay: what to publish, store and join, and then what becomes of it.

    *held* is ``None`` for things that concern no message. A requeue may say not before when (*requeue_at*, Unix
    seconds) and that the delivery does not count (*uncounted*). *after* is called when all of it is durable, in the
    outflow's thread. *failures* counts the commits that failed because of this very ending.
    """

    held: Held | None = None
    verdict: Verdict = Verdict.ACK
    publications: Sequence[Publication] = ()
    metas: Sequence[TaskMeta] = ()
    parts: Sequence[ChordPart] = ()
    requeue_at: float | None = None
    uncounted: bool = False
    after: Callable[[], None] | None = None
    failures: int = 0

    @property
    def delivery(self) -> Delivery | None:
        """The delivery to settle, if there is still one."""
        return None if self.held is None or self.held.acknowledged else self.held.delivery


def merge(acks: Sequence[Held], endings: Iterable[Ending]) -> Commit:
    """Return one commit of plain acknowledgements and *endings*; requeues are left to :func:`requeue_settlements`."""
    acknowledged = [held.delivery for held in acks if not held.acknowledged]
    rejected: list[Delivery] = []
    commit = Commit()
    for ending in endings:
        commit.publications.extend(ending.publications)
        commit.metas.extend(ending.metas)
        commit.parts.extend(ending.parts)
        delivery = ending.delivery
        if delivery is None:
            continue
        if ending.verdict is Verdict.ACK:
            acknowledged.append(delivery)
        elif ending.verdict is Verdict.REJECT:
            rejected.append(delivery)
    commit.settlement = Settlement(acks=acknowledged, rejects=rejected)
    return commit


def requeue_settlements(endings: Iterable[Ending]) -> list[Settlement]:
    """Return the requeues among *endings*, one settlement for each time and way of counting."""
    groups: dict[tuple[float | None, bool], list[Delivery]] = {}
    for ending in endings:
        delivery = ending.delivery
        if ending.verdict is Verdict.REQUEUE and delivery is not None:
            groups.setdefault((ending.requeue_at, ending.uncounted), []).append(delivery)
    return [
        Settlement(requeues=deliveries, requeue_at=at, uncounted=uncounted)
        for (at, uncounted), deliveries in groups.items()
    ]
