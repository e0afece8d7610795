"""The contract of a committer: how the end of a batch of tasks is made durable."""

from __future__ import annotations

from abc import ABC, abstractmethod

from umbel.model import Commit

__all__ = ["Committer"]


class Committer(ABC):
    """Makes a :class:`~umbel.model.results.Commit` durable. Used by one thread of the worker.

    The kernel's own publish, store, join and settle in that order, so that a crash in between can repeat work and never
    lose it; or all at once where transport and backend are joint (:mod:`umbel.spi.joint`). An extension may offer
    another through the hook ``umbel_committer``.
    """

    @abstractmethod
    def commit(self, commit: Commit) -> None:
        """Make all of *commit* durable. When it raises, the caller repeats the same commit after a pause."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections. May be called twice."""
