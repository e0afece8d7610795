"""What is kept of a finished task, and what the end of a batch of tasks asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from umbel.model.messages import Publication, Settlement
from umbel.states import READY_STATES, SUCCESS

__all__ = ["ChordPart", "Commit", "JoinedChord", "TaskMeta"]


@attrs.define(eq=False)
class TaskMeta:
    """The state of a task, ready to be stored: *payload* is the whole encoded document of ``WIRE.md`` 5.1.

    *attempt* orders two writers of one task: the number of retries of the request that made this. *expires_s* is how
    long to keep it (``None``: for ever). *reply_to* is where the caller listens, for stores that send instead of keep.
    """

    task_id: str
    state: str
    payload: bytes
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    attempt: int = 0
    expires_s: float | None = None
    reply_to: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.state in READY_STATES

    def may_replace(self, stored: TaskMeta | None) -> bool:
        """Say whether this may be written over *stored*: the rule that every store keeps.

        SUCCESS stands for ever; another final state yields only to a later attempt; what is not final yields to any
        attempt that is not older.
        """
        if stored is None:
            return True
        if stored.state == SUCCESS:
            return False
        if stored.is_final:
            return self.attempt > stored.attempt
        return self.attempt >= stored.attempt


@attrs.define(eq=False)
class ChordPart:
    """One finished member of a chord's header. *payload* is its encoded result; *size* the number of members, if known.

    *body* is the encoded signature of what follows, so that whoever completes the chord can send it. *extra* is how
    many members this one has added to the header while it ran: the chord waits for that many more.
    """

    group_id: str
    task_id: str
    index: int | None
    state: str
    payload: bytes
    body: bytes
    size: int | None = None
    expires_s: float | None = None
    extra: int = 0


@attrs.define(eq=False)
class JoinedChord:
    """A chord whose last member has come in: its parts in the header's order. Given to exactly one caller of ``join``."""

    group_id: str
    parts: Sequence[ChordPart]
    body: bytes


@attrs.define(eq=False)
class Commit:
    """How the end of a batch of tasks is made durable, in this order or at once: publish, store, join, settle."""

    publications: list[Publication] = attrs.field(factory=list)
    metas: list[TaskMeta] = attrs.field(factory=list)
    parts: list[ChordPart] = attrs.field(factory=list)
    settlement: Settlement = attrs.field(factory=Settlement)
    extra: dict[str, Any] = attrs.field(factory=dict)
