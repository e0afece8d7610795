"""One transaction over a broker and a result store that are the same database.

A transport and a backend that are both joint and answer the same ``store_identity`` are committed together: results,
next messages, chord parts and acknowledgements happen all or not at all. Neither plugin knows the other; they share
the type of the transaction, which is the driver's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from umbel.model import ChordPart, JoinedChord, Publication, Settlement, TaskMeta

__all__ = ["JointBackend", "JointTransport"]


class JointTransport(ABC):
    """Mixed into a transport whose writes can take part in a backend's transaction."""

    @property
    @abstractmethod
    def store_identity(self) -> str:
        """Name the store: equal exactly when both reach the same database through the same driver."""

    @abstractmethod
    def write_jointly(
        self, transaction: Any, publications: Sequence[Publication], settlement: Settlement
    ) -> Callable[[], None] | None:
        """Publish and settle inside *transaction*; return what to call after it is committed (to wake consumers)."""


class JointBackend(ABC):
    """Mixed into a result backend that opens the transaction."""

    @property
    @abstractmethod
    def store_identity(self) -> str:
        """Name the store: equal exactly when both reach the same database through the same driver."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Any]:
        """Open a write transaction: committed when the block ends, rolled back when it raises."""

    @abstractmethod
    def store_jointly(
        self, transaction: Any, metas: Sequence[TaskMeta], parts: Sequence[ChordPart]
    ) -> tuple[Sequence[JoinedChord], Callable[[], None] | None]:
        """Store and join inside *transaction*; return the chords now complete and what to call after the commit.

        What follows a chord that is returned is written in the same transaction, so once that is committed the chord
        is concluded: no later part gets it again.
        """
