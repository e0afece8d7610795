"""The contract of a result backend: where the states of tasks are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs

from umbel.model import ChordPart, JoinedChord, TaskMeta

__all__ = ["BackendCapabilities", "ResultBackend"]


@attrs.frozen(kw_only=True)
class BackendCapabilities:
    """What a result backend can do; everything is false unless it is declared, and what is declared is tested.

    * ``push``: ``wait`` is woken by the store instead of polling it.
    * ``durable``: results outlive every process, and a restart of the store.
    * ``many_processes``: processes that use the same URL see the same results.
    * ``expires``: results past their ``expires_s`` disappear without a call of ``expire``.
    * ``reads_once``: a result can be had by the caller alone, and once (``rpc://``).
    * ``stores``: false for the backend that keeps nothing.
    """

    push: bool = False
    durable: bool = False
    many_processes: bool = False
    expires: bool = False
    reads_once: bool = False
    stores: bool = True


class ResultBackend(ABC):
    """A store of task states. Every method may be called from any thread; a lost connection is made anew inside.

    Made by the hook ``umbel_backend(app, url)``, which must not connect. An instance is never used on both sides of a
    fork: the child makes its own. Failures: :class:`~umbel.exceptions.BackendStoreError` and
    :class:`~umbel.exceptions.BackendGetMetaError`, with the URL's password masked.
    """

    capabilities: ClassVar[BackendCapabilities] = BackendCapabilities()

    @abstractmethod
    def open(self, timeout_s: float) -> None:
        """Connect, within *timeout_s*. Opening what is open does nothing."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect, and make every blocked :meth:`wait` return. May be called twice."""

    @abstractmethod
    def store(self, metas: Sequence[TaskMeta]) -> None:
        """Write *metas* in order, each under the rule of :meth:`TaskMeta.may_replace`, and wake who waits for them."""

    @abstractmethod
    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        """Return what is stored of each of *ids*, in order; ``None`` for the unknown."""

    @abstractmethod
    def forget(self, ids: Sequence[str]) -> None:
        """Remove what is stored of *ids*; unknown ones are passed over."""

    @abstractmethod
    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        """Block until at least one of *ids* is final, then return all of them that are.

        An empty answer means that *timeout_s* is over, or that the backend was closed. Nothing is consumed: the next
        call with the same ids answers the same.
        """

    @abstractmethod
    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        """Keep *payload* (an encoded group result) under *group_id*; ``None`` removes it."""

    @abstractmethod
    def load_group(self, group_id: str) -> bytes | None:
        """Return what :meth:`save_group` kept, or ``None``."""

    @abstractmethod
    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        """Count *parts* in, each (group, task) once however often it comes, and return the chords now complete.

        A completed chord is given out once, to one caller, and then only to a repetition of the very part that
        completed it (its first answer may have been lost in a crash).
        """

    def conclude(self, group_ids: Sequence[str]) -> None:  # noqa: B027 - a store may leave it out
        """Note that what follows these chords was sent: :meth:`join` gives them to nobody any more.

        Unknown ids are passed over. A store that leaves it out has a body sent twice when the member that completed its
        chord runs again.
        """

    @abstractmethod
    def expire(self, before: float) -> int:
        """Remove results whose time was over at *before* (Unix seconds); return how many, 0 where the store does it."""

    @property
    def reply_to(self) -> str | None:
        """The address that calls put into ``reply_to``, for stores that send results to their caller."""
        return None
