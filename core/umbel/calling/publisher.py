"""The publisher: the last step of every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.model import Publication, TaskCall

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.calling.router import Destination

__all__ = ["Publisher"]


class Publisher:
    """Encodes calls and sends publications, over transports that are pooled per process. Thread-safe, fork-safe."""

    def __init__(self, app: Umbel) -> None:
        self._app = app

    def prepare(self, call: TaskCall, destination: Destination) -> Publication:
        """Encode *call* for *destination*, without I/O. Raises :class:`~umbel.exceptions.EncodeError`."""
        raise NotImplementedError

    def send(
        self,
        publications: Sequence[Publication],
        timeout_s: float | None = None,
        *,
        retry: bool | None = None,
        policy: Mapping[str, Any] | None = None,
        transport: Any = None,
    ) -> None:
        """Publish all of *publications* in one request, within *timeout_s* (``task_publish_timeout_s``), retries
        included. :class:`~umbel.exceptions.OperationalError` when the broker does not take them in time.
        """
        raise NotImplementedError
