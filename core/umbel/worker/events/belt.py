"""The belt that carries events away: a thread with a connection of its own, which holds up nobody.

When the broker is away, or takes less than there is to tell, the oldest events are dropped and counted; the worker goes
on as if nothing were.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.events.line import EventLine
from umbel.exceptions import EncodeError, OperationalError, UmbelError
from umbel.worker.backoff import Backoff
from umbel.worker.events.inbox import Inbox
from umbel.worker.events.wording import Wording

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.model import Publication

__all__ = ["EventBelt"]

logger = logging.getLogger("umbel.worker.events")

_MOST_WAITING: Final = 50_000
_MOST_AT_ONCE: Final = 500
#: How soon a task that runs longer than this is told to have started.
_LOOK_EVERY_S: Final = 0.1
#: After so many at once the next are given a moment to gather: large batches cost less each.
_BUSY: Final = 20
_GATHER_S: Final = 0.02
#: Steps of the logical clock that are taken for tasks that are seen to run.
_MOST_RUNNING: Final = 1000
_WARN_EVERY_S: Final = 30.0
_LAST_WORDS_S: Final = 2.0


class EventBelt:
    """Publishes what is put on it, in order. :meth:`send` and :meth:`put` may be called from any thread.

    *beat* gives the fields of a heartbeat (``None``: there are none). *look* is called now and then while
    :attr:`is_looking`, and what it answers after all was worded that was put before.
    """

    def __init__(
        self,
        app: Umbel,
        hostname: str,
        *,
        beat: Callable[[], Mapping[str, Any]] | None = None,
        interval_s: float = 2.0,
        look: Callable[[], Callable[[Wording], None]] | None = None,
    ) -> None:
        self.wording = Wording(hostname, app.clock)
        #: Whether what runs is looked at.
        self.is_looking = False
        self._line = EventLine(app, hostname)
        self._inbox = Inbox(_MOST_WAITING)
        self._beat = beat
        self._interval_s = interval_s
        self._look = look
        self._backoff = Backoff(0.25, 10.0)
        self._thread: threading.Thread | None = None
        self._is_ending = threading.Event()
        self._unsent: list[Publication] = []
        self._is_down = False
        self._is_busy = False
        self._beat_at = self._look_at = 0.0
        self._warned_dropped = 0
        self._warned_at = 0.0

    @property
    def dropped(self) -> int:
        """How many things were never told, since nobody took them in time."""
        return self._inbox.dropped

    def put(self, word: Callable[[float, Any], None], timestamp: float, several: Sequence[Any]) -> None:
        """Have *word*, a method of :attr:`wording`, put *several* things of one time into events."""
        self._inbox.put((word, timestamp, several), len(several))

    def send(self, kind: str, **fields: Any) -> None:
        """Publish an event of type *kind*."""
        self.put(self.wording.said, time.time(), [(kind, fields)])

    def beat_now(self) -> None:
        """Send a heartbeat soon, where there are any."""
        self._beat_at = 0.0
        self._inbox.wake()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, which connects."""
        if self._beat is not None:
            self.send("worker-online", **self._beat())
            self._beat_at = time.monotonic() + self._interval_s
        self._thread = threading.Thread(target=self._run, name="umbel-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, publish what is there unless the broker is away, and end the thread. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._beat is not None:
            self.send("worker-offline", **self._beat())
        self._is_ending.set()
        self._inbox.wake()
        thread.join(_LAST_WORDS_S + 5.0)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not (self._is_ending.is_set() and (self._is_down or not (len(self._inbox) or self._unsent))):
                self._turn()
        except Exception:
            logger.critical("events are told no more: their thread failed", exc_info=True)
        finally:
            self._line.close()

    def _turn(self) -> None:
        """Do one round: wait, word, publish."""
        if not self._unsent:
            self._inbox.wait(self._wait_s())
            if self._is_busy:
                self._is_ending.wait(_GATHER_S)
            seen = self._seen()
            items, things = self._inbox.take(_MOST_AT_ONCE)
            self._is_busy = _BUSY <= things < _MOST_AT_ONCE
            self._unsent = self._prepare(items, things, seen if things < _MOST_AT_ONCE else None)
        if self._unsent:
            self._publish()

    def _wait_s(self) -> float:
        if self._is_ending.is_set():
            return 0.0
        until_beat = self._beat_at - time.monotonic() if self._beat is not None else 3600.0
        return min(until_beat, _LOOK_EVERY_S) if self.is_looking else until_beat

    def _seen(self) -> Callable[[Wording], None] | None:
        now = time.monotonic()
        if self._look is None or not self.is_looking or now < self._look_at:
            return None
        self._look_at = now + _LOOK_EVERY_S
        return self._look()

    def _prepare(
        self,
        items: Sequence[tuple[Callable[[float, Any], None], float, Sequence[Any]]],
        things: int,
        seen: Callable[[Wording], None] | None,
    ) -> list[Publication]:
        wording = self.wording
        wording.begin(things + 1 + (0 if seen is None else _MOST_RUNNING))
        for word, timestamp, several in items:
            word(timestamp, several)
        if seen is not None:
            seen(wording)
        if self._beat is not None and time.monotonic() >= self._beat_at and not self._is_ending.is_set():
            self._beat_at = time.monotonic() + self._interval_s
            wording.said(time.time(), [("worker-heartbeat", self._beat())])
        try:
            return [self._line.pack(key, what, is_plain=is_plain) for key, what, is_plain in wording.batches]
        except EncodeError:
            return self._prepare_each(wording.events())

    def _prepare_each(self, events: Iterable[dict[str, Any]]) -> list[Publication]:
        """Encode one by one: what cannot be encoded is left out alone."""
        publications: list[Publication] = []
        for event in events:
            try:
                publications += self._line.prepare([event])
            except EncodeError as error:
                logger.warning("event %s cannot be sent: %s", event["type"], error)
        return publications

    def _publish(self) -> None:
        try:
            self._line.publish(self._unsent)
        except (OperationalError, OSError) as error:
            self._lost(error)
            return
        except UmbelError as error:  # these alone; the next may be taken
            logger.warning("%d event messages were refused and are dropped: %s", len(self._unsent), error)
        self._unsent = []
        if self._is_down:
            self._is_down = False
            self._backoff.reset()
            logger.info("events are published again")
        self._tell_dropped()

    def _lost(self, error: Exception) -> None:
        if not self._is_down:
            logger.warning("events cannot be published, trying again: %s", error)
        self._is_down = True
        self._tell_dropped()
        self._is_ending.wait(self._backoff.next_s())

    def _tell_dropped(self) -> None:
        dropped, now = self._inbox.dropped, time.monotonic()
        if dropped > self._warned_dropped and now - self._warned_at > _WARN_EVERY_S:
            logger.warning(
                "dropped %d events (%d in all): more happens than the broker takes",
                dropped - self._warned_dropped,
                dropped,
            )
            self._warned_dropped, self._warned_at = dropped, now
