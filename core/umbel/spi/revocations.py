"""What a store keeps of revoked tasks, so that a revocation is true for workers that are not there yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import attrs

__all__ = ["Revocation", "RevocationStore"]


@attrs.frozen
class Revocation:
    """A task that is not to run: by its id (*value*), or every task whose stamped *header* holds *value*."""

    value: str
    header: str | None = None


class RevocationStore(ABC):
    """Mixed into a transport whose store can keep revocations. Used, as the transport is, by one thread at a time.

    Raises :class:`~umbel.exceptions.OperationalError` as the transport's own methods do.
    """

    @abstractmethod
    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        """Keep *revocations* for *expires_s* seconds; what is there already is kept anew. On return they are durable."""

    @abstractmethod
    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        """Return what was revoked since *cursor* (``None``: all that is kept), and the cursor for the next time.

        Cheap when there is nothing new: every worker asks about once a second. Nothing is ever left out; what was
        returned before may be returned again.
        """
