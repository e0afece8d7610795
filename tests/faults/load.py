"""The caller: sends tasks of all kinds without a break, and keeps what it was told has been taken."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
from tests.faults.ledger import Ledger

from umbel import chain, chord
from umbel.exceptions import OperationalError
from umbel.testing.threads import until

__all__ = ["Confirmed", "Load"]

#: What is called, how often of a hundred, and which line of the ledger each leaves: (kind, attempt or index).
KINDS: Final[dict[str, tuple[int, tuple[tuple[str, int], ...]]]] = {
    "plain": (58, (("plain", 0),)),
    "delayed": (10, (("plain", 0),)),
    "slow": (5, (("slow", 0),)),
    "retrying": (12, (("retrying", 0), ("retrying", 1))),
    "chain": (10, (("plain", 0), ("step", 0))),
    "chord": (5, (("part", 0), ("part", 1), ("part", 2), ("total", 0))),
}
_SLOW_S: Final = 0.2
_MOST_AHEAD: Final = 400


@attrs.frozen
class Confirmed:
    """A call that was taken: the broker said so to its caller."""

    number: int
    kind: str
    task_id: str
    round: int
    confirmed_at: float
    due_at: float


class Load:
    """Calls about *rate* tasks a second from two threads, while less than 400 of them wait. *seed* sets the dice.

    One thread lives with the usual policy of retries; the other one retries until its deadline.
    """

    def __init__(self, module: Any, ledger: Ledger, rate: float, seed: int) -> None:
        self.confirmed: list[Confirmed] = []
        self.refused = 0
        self.worst_delay_s = 0.0
        self.round = 0
        self.failure: BaseException | None = None
        self._module = module
        self._ledger = ledger
        self._pause_s = 2 / rate
        self._seed = seed
        self._next = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._calling: set[int] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(index, policy), name=f"load-{index}", daemon=True)
            for index, policy in enumerate(({}, {"retry_policy": {"max_retries": None}}))
        ]

    def start(self) -> None:
        """Begin to call."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Call no more; returns when the last call has."""
        self._over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)
            assert not thread.is_alive(), "a call hangs"

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Call nothing inside the ``with`` block."""
        self._flowing.clear()
        try:
            until(lambda: not self._calling, 60.0)
            yield
        finally:
            self._flowing.set()

    def expected_lines(self) -> set[tuple[str, int, int]]:
        """Return what must be in the ledger when all that was confirmed has been done."""
        return {(kind, call.number, index) for call in self.confirmed for kind, index in KINDS[call.kind][1]}

    def take_worst_delay(self) -> float:
        """Return the longest call since the last time this was asked."""
        with self._lock:
            worst, self.worst_delay_s = self.worst_delay_s, 0.0
        return worst

    def _run(self, index: int, options: dict[str, Any]) -> None:
        chance = random.Random(f"{self._seed} {index}")
        names = list(KINDS)
        weights = [weight for weight, _ in KINDS.values()]
        try:
            while not self._over.is_set():
                if len(self.confirmed) - self._ledger.seen > _MOST_AHEAD:
                    self._over.wait(0.05)
                    continue
                if not self._flowing.wait(0.1):
                    continue
                self._calling.add(index)
                if self._flowing.is_set():
                    self._call(chance.choices(names, weights)[0], chance, options)
                self._calling.discard(index)
                self._over.wait(self._pause_s)
        except BaseException as error:
            self.failure = error
            raise

    def _call(self, kind: str, chance: random.Random, options: dict[str, Any]) -> None:
        with self._lock:
            number = self._next
            self._next += 1
        countdown = round(chance.uniform(1.0, 4.0), 2) if kind == "delayed" else 0.0
        send = self._sender(kind, number, countdown, options)
        started = time.monotonic()
        try:
            result = send()
        except OperationalError:
            result = None
        took = time.monotonic() - started
        now = time.time()
        with self._lock:
            self.worst_delay_s = max(self.worst_delay_s, took)
            if result is None:
                self.refused += 1
            else:
                self.confirmed.append(Confirmed(number, kind, result.id, self.round, now, now + countdown))

    def _sender(self, kind: str, number: int, countdown: float, options: dict[str, Any]) -> Callable[[], Any]:
        tasks = self._module
        if kind == "chain":
            return chain(tasks.plain.s(number), tasks.step.s(number)).apply_async
        if kind == "chord":
            return chord([tasks.part.s(number, index) for index in range(3)], tasks.total.s(number)).apply_async
        if kind == "slow":
            return lambda: tasks.slow.apply_async((number, _SLOW_S), **options)
        task = tasks.retrying if kind == "retrying" else tasks.plain
        named = {"countdown": countdown} if countdown else {}
        return lambda: task.apply_async((number,), **named, **options)
