"""Sending events of one's own."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from umbel.events.line import EventLine
from umbel.exceptions import OperationalError
from umbel.protocol.events import group_from, make_event

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import Transport

__all__ = ["EventDispatcher"]

_MOST_BUFFERED: Final = 10_000


class EventDispatcher:
    """Publishes events, each before :meth:`send` returns. Thread-safe.

    *connection* is an open transport, left open; ``None`` opens one with the first event. *hostname* is who the
    events are from. *groups* are the first words of the types that are sent (``None``: all). A disabled dispatcher
    sends nothing and opens nothing [B1147]. With *buffer_while_offline* events that cannot be sent wait, up to ten
    thousand of them, for :meth:`flush` or the next event that can [B1146]; without, :meth:`send` raises
    :class:`~umbel.exceptions.OperationalError`. *buffer_group* are groups that wait for :meth:`flush`, or until there
    are *buffer_limit* of them; *on_send_buffered* is called when one begins to wait.
    """

    #: The application, for those made by ``app.events.Dispatcher``.
    app: ClassVar[Umbel | None] = None

    def __init__(
        self,
        connection: Transport | None = None,
        hostname: str | None = None,
        enabled: bool = True,
        channel: Any = None,
        buffer_while_offline: bool = True,
        app: Umbel | None = None,
        serializer: str | None = None,
        groups: Iterable[str] | None = None,
        delivery_mode: int = 1,
        buffer_group: Iterable[str] | None = None,
        buffer_limit: int = 24,
        on_send_buffered: Callable[[], None] | None = None,
    ) -> None:
        chosen = app or self.app
        if chosen is None:
            raise TypeError("expected an application: use app.events.Dispatcher(...), or pass app=")
        self.hostname = hostname or f"gen{os.getpid()}@{socket.gethostname()}"
        self.enabled = enabled
        self.groups = set(groups or ())
        self.buffer_while_offline = buffer_while_offline
        self.buffer_group = frozenset(buffer_group or ())
        self.buffer_limit = buffer_limit
        self.on_send_buffered = on_send_buffered
        #: Called, without arguments, when the dispatcher is switched on or off.
        self.on_enabled: set[Callable[[], None]] = set()
        self.on_disabled: set[Callable[[], None]] = set()
        self._clock = chosen.clock
        self._line = EventLine(
            chosen, self.hostname, transport=connection or channel, serializer=serializer, delivery_mode=delivery_mode
        )
        self._sending = threading.RLock()
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_MOST_BUFFERED)

    def send(self, type: str, blind: bool = False, **fields: Any) -> None:
        """Send an event of *type* with *fields*; nothing when disabled, or when its group is none of ours [B649].

        *blind* leaves the logical clock alone. ``retry`` and ``retry_policy`` of Celery's are taken and ignored.
        """
        if not self.enabled or (self.groups and group_from(type) not in self.groups):
            return
        fields = {name: value for name, value in fields.items() if name not in ("retry", "retry_policy")}
        clock = self._clock.value if blind else self._clock.forward()
        with self._sending:
            self._waiting.append(make_event(type, fields, self.hostname, os.getpid(), clock))
            if group_from(type) in self.buffer_group and len(self._waiting) < self.buffer_limit:
                if self.on_send_buffered is not None:
                    self.on_send_buffered()
                return
            self.flush()

    def publish(
        self, type: str, fields: dict[str, Any], producer: Any = None, blind: bool = False, **options: Any
    ) -> None:
        """Like :meth:`send`, whether enabled or not, and without waiting: over *producer*, an open transport."""
        app_clock = self._clock
        clock = app_clock.value if blind else app_clock.forward()
        event = make_event(type, fields, self.hostname, os.getpid(), clock)
        publications = self._line.prepare([event])
        if producer is not None:
            producer.publish(publications, 10.0)
            return
        with self._sending:
            self._line.publish(publications)

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what waits. Raises :class:`~umbel.exceptions.OperationalError`, unless it may wait on."""
        with self._sending:
            if not self._waiting or not self.enabled:
                return
            events = list(self._waiting)
            try:
                self._line.publish(self._line.prepare(events))
            except OperationalError:
                if not self.buffer_while_offline:
                    self._waiting.clear()
                    raise
                return
            except BaseException:
                self._waiting.clear()  # one of them cannot be encoded: it must not be in the way of the next
                raise
            self._waiting.clear()

    def enable(self) -> None:
        """Send from now on."""
        self.enabled = True
        for callback in list(self.on_enabled):
            callback()

    def disable(self) -> None:
        """Send nothing from now on, and let go of the connection."""
        if self.enabled:
            self.enabled = False
            self.close()
            for callback in list(self.on_disabled):
                callback()

    def extend_buffer(self, other: EventDispatcher) -> None:
        """Take over what waits in *other* [B650]."""
        with self._sending:
            self._waiting.extend(other._waiting)

    copy_buffer = extend_buffer

    def close(self) -> None:
        """Let go of the connection; the next event opens a new one."""
        with self._sending:
            self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
