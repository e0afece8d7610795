"""A worker as its events show it."""

from __future__ import annotations

import bisect
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

__all__ = ["HEARTBEAT_DRIFT_MAX", "HEARTBEAT_EXPIRE_WINDOW", "Worker", "heartbeat_expires"]

logger = logging.getLogger("umbel.events")

#: A worker that is silent for this many per cent of its interval is held to be offline.
HEARTBEAT_EXPIRE_WINDOW: Final = 200
#: Seconds by which an event's time may differ from that of its arrival before somebody's clock is said to be wrong.
HEARTBEAT_DRIFT_MAX: Final = 16

#: Fields of its events that are a worker's attributes of the same name.
_FIELDS: Final = ("pid", "freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys")


def heartbeat_expires(timestamp: float, freq: float = 60, expire_window: float = HEARTBEAT_EXPIRE_WINDOW) -> float:
    """Return until when a heartbeat heard at *timestamp* says that its worker is alive. Unix seconds."""
    return float(timestamp) + float(freq) * (expire_window / 1e2)


class Worker:
    """A node. Two are equal when their ``hostname`` is."""

    #: How many heartbeats are remembered [B664].
    heartbeat_max: ClassVar[int] = 4
    expire_window: ClassVar[float] = HEARTBEAT_EXPIRE_WINDOW
    #: What monitors show of it, as in Celery.
    _fields: ClassVar[Sequence[str]] = ("hostname", "freq", "heartbeats", "clock", *_FIELDS)

    def __init__(
        self,
        hostname: str | None = None,
        pid: int | None = None,
        freq: float = 60,
        heartbeats: list[float] | None = None,
        clock: int = 0,
        active: int | None = None,
        processed: int | None = None,
        loadavg: list[float] | None = None,
        sw_ident: str | None = None,
        sw_ver: str | None = None,
        sw_sys: str | None = None,
    ) -> None:
        self.hostname = hostname
        self.pid = pid
        self.freq = freq
        #: When it was heard, the latest last. Unix seconds of this machine.
        self.heartbeats = [] if heartbeats is None else heartbeats
        self.clock = clock or 0
        self.active = active
        self.processed = processed
        self.loadavg = loadavg
        self.sw_ident = sw_ident
        self.sw_ver = sw_ver
        self.sw_sys = sw_sys
        self._latest: tuple[float, int] = (0.0, 0)
        self._offline_at = 0.0
        self._has_drifted = False

    def event(
        self,
        type_: str | None,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in an event of it: ``online``, ``heartbeat`` or ``offline``; any other says only that it lives.

        What an older event says of it does not stand over what a newer one said.
        """
        if fields:
            self._take(timestamp or 0.0, fields)
        if type_ == "offline":
            self._offline_at = max(self._offline_at, timestamp or 0.0)
            if timestamp is None or (timestamp, self.clock) >= self._latest:
                self.heartbeats[:] = []
            return
        if not local_received or not timestamp or timestamp < self._offline_at:
            return
        self._check_drift(timestamp, local_received)
        bisect.insort(self.heartbeats, local_received)
        del self.heartbeats[: -self.heartbeat_max]

    def on_online(self, timestamp: float, local_received: float | None = None, **fields: Any) -> None:
        """Take in ``worker-online``."""
        self.event("online", timestamp, local_received or timestamp, fields)

    def on_heartbeat(self, timestamp: float, local_received: float | None = None, **fields: Any) -> None:
        """Take in ``worker-heartbeat``."""
        self.event("heartbeat", timestamp, local_received or timestamp, fields)

    def on_offline(self, timestamp: float | None = None, local_received: float | None = None, **fields: Any) -> None:
        """Take in ``worker-offline``."""
        self.event("offline", timestamp, local_received, fields)

    def _take(self, timestamp: float, fields: Mapping[str, Any]) -> None:
        clock = fields.get("clock") or 0
        if (timestamp, clock) < self._latest:
            return
        self._latest = (timestamp, clock)
        self.clock = clock or self.clock
        for name in _FIELDS:
            if fields.get(name) is not None:
                setattr(self, name, fields[name])

    def _check_drift(self, timestamp: float, local_received: float) -> None:
        drift_s = abs(int(local_received) - int(timestamp))
        if drift_s > HEARTBEAT_DRIFT_MAX and not self._has_drifted:
            self._has_drifted = True  # said once
            logger.warning(
                "the clock of %s and ours are %d s apart (it says %.0f, it was received at %.0f): set them by NTP",
                self.hostname,
                drift_s,
                timestamp,
                local_received,
            )

    def update(self, f: Mapping[str, Any], **kw: Any) -> None:
        """Set attributes."""
        for name, value in {**f, **kw}.items():
            setattr(self, name, value)

    @property
    def status_string(self) -> str:
        """``ONLINE`` or ``OFFLINE``."""
        return "ONLINE" if self.alive else "OFFLINE"

    @property
    def heartbeat_expires(self) -> float:
        """Until when the last heartbeat says that it is alive. Unix seconds; 0 when it is not."""
        if not self.heartbeats:
            return 0.0
        freq = self.freq if isinstance(self.freq, int | float) else 60
        return heartbeat_expires(self.heartbeats[-1], freq, self.expire_window)

    @property
    def alive(self) -> bool:
        """Whether it was heard not too long ago, and has not said goodbye."""
        return bool(self.heartbeats) and time.time() < self.heartbeat_expires

    @property
    def id(self) -> str:
        """Its name with its process: ``w1@host.4711``."""
        return f"{self.hostname}.{self.pid}"

    def __eq__(self, other: object) -> bool:
        return self.hostname == other.hostname if isinstance(other, Worker) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.hostname)

    def __repr__(self) -> str:
        return f"<Worker: {self.hostname} ({self.status_string} clock:{self.clock})>"
