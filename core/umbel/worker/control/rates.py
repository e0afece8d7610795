"""Rate limits: how often each worker starts a task, whatever waits in the queues.

A call that must wait takes no place in the pool, and no other task waits behind it. What is due soon is held here; the
rest goes back to the broker until about its turn, where the broker can hold messages.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from umbel.worker.endings import Ending
from umbel.worker.held import Held

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.worker.admission import Admission
    from umbel.worker.failures import Failures

__all__ = ["RateLimits", "parse_rate"]

logger = logging.getLogger("umbel.worker.control")

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: What gets its turn within this time is held here, so many calls of one task at most.
_AHEAD_S: Final = 2.0
_MOST_AHEAD: Final = 1000
#: When a call that goes back is looked at again at the latest: the limit may have been lifted meanwhile.
_LONGEST_S: Final = 30.0
_ASIDE: Final = Ending()


def parse_rate(rate: Any) -> float:
    """Return *rate* (``10``, ``"10/s"``, ``"100/m"``, ``"5/h"``) as calls a second; 0 for no limit [A142] [B911].

    Raises ``ValueError`` for anything else.
    """
    if rate is None or rate == "":
        return 0.0
    text, _, unit = str(rate).partition("/")
    try:
        count = float(text)
        seconds = _SECONDS[unit.strip().lower() or "s"]
    except (ValueError, KeyError):
        count, seconds = -1.0, 1.0
    if isinstance(rate, bool) or not 0 <= count < 1e9:
        raise ValueError(f"expected a rate such as 10, '10/s', '100/m' or '5/h', got {rate!r}")
    return count / seconds


@attrs.define(eq=False)
class _Bucket:
    """A bucket of one token that fills in *interval_s*. *next_at*: when the next call may start (monotonic).

    *horizon*: until when those that were sent back are spread.
    """

    interval_s: float
    next_at: float = 0.0
    horizon: float = 0.0


class RateLimits:
    """The gate of rate limits; it stands only while a task has one. :meth:`gate` is called by intake and timers."""

    def __init__(self, app: Umbel, admission: Admission, failures: Failures) -> None:
        self._app = app
        self._admission = admission
        self._failures = failures
        self._buckets: dict[str, _Bucket] = {}
        #: Calls whose turn is kept, by identity, with the time of it.
        self._turns: dict[int, tuple[Held, float]] = {}
        self._lock = threading.Lock()

    def read(self) -> None:
        """Take the limits that the tasks have now. Any thread; a task whose limit is the same keeps its place in time."""
        found: dict[str, float] = {}
        if not self._app.conf.worker_disable_rate_limits:
            for name, task in self._app.tasks.items():
                rate = parse_rate(task.rate_limit)
                if rate > 0:
                    found[name] = 1.0 / rate
        with self._lock:
            same = {name for name, bucket in self._buckets.items() if found.get(name) == bucket.interval_s}
            self._buckets = {
                name: self._buckets[name] if name in same else _Bucket(interval_s) for name, interval_s in found.items()
            }
            changed = [key for key, (held, _) in self._turns.items() if held.name not in same]
            anew = {id(self._turns.pop(key)[0]) for key in changed}
            others = [gate for gate in self._admission.gates if gate != self.gate]
            # Behind the others: what is revoked takes no turn. A new list, since the intake may use the old one.
            self._admission.gates = [*others, self.gate] if self._buckets else others
        if anew:
            for held in self._admission.withdraw(lambda held: id(held) in anew):
                self._admission.hold(held, 0.0)

    def gate(self, held: Held) -> Ending | None:
        """Let the call through if it is its turn; see :data:`umbel.worker.admission.Gate`."""
        bucket = self._buckets.get(held.name)
        if bucket is None:
            return None
        now = time.monotonic()
        with self._lock:
            if self._turns.pop(id(held), None) is not None:
                return None
            if now >= bucket.next_at:
                bucket.next_at = now + bucket.interval_s
                return None
            wait_s = bucket.next_at - now
            is_near = wait_s <= min(_AHEAD_S, _MOST_AHEAD * bucket.interval_s)
            if is_near or not self._admission.holds_delayed:
                self._keep_turn(held, bucket, now)
                back_at = None
            else:
                back_at = time.time() + self._spread(bucket, now)
        if back_at is not None:
            return self._failures.back_uncounted(held, back_at)
        self._admission.hold(held, time.time() + wait_s)
        return _ASIDE

    def _keep_turn(self, held: Held, bucket: _Bucket, now: float) -> None:
        if len(self._turns) > 2 * _MOST_AHEAD:  # of those that were revoked or expired meanwhile
            self._turns = {key: turn for key, turn in self._turns.items() if turn[1] > now - _LONGEST_S}
        self._turns[id(held)] = (held, bucket.next_at)
        bucket.next_at += bucket.interval_s

    @staticmethod
    def _spread(bucket: _Bucket, now: float) -> float:
        """Return in how many seconds a call that goes back is to come again: one after the other, as far as that goes."""
        bucket.horizon = max(bucket.horizon, bucket.next_at) + bucket.interval_s
        bucket.horizon = min(bucket.horizon, now + _LONGEST_S)
        return bucket.horizon - now
