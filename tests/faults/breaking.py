"""What can be broken, and how it is mended."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
from tests.faults.cutting import NAMERS, PLACES, Cutter
from tests.faults.ledger import FOREIGN
from tests.faults.workers import ROOT

from umbel.testing.threads import until

if TYPE_CHECKING:
    from tests.faults.outages import Outages

__all__ = ["FAULTS", "GROUP_SIZE", "Fault", "Struck"]

#: How many tasks the groups of tests.faults.caller have.
GROUP_SIZE: Final = 40
_PASSES_WITHIN_S: Final = 30.0


@attrs.frozen
class Struck:
    """What was done: broken at *down_at*, whole again at *up_at* (``time.time()``), and words for people."""

    down_at: float
    up_at: float
    note: str = ""


class Fault(ABC):
    """One kind of damage. *run* has the site and the workers; *chance* is its dice."""

    #: Seconds for which it lasts, unless the command line says otherwise.
    hold_s: ClassVar[float] = 1.0
    #: The sites that it makes sense for.
    brokers: ClassVar[tuple[str, ...]] = ("redis", "rabbitmq", "postgres")
    #: Whether a worker cannot but notice, so that its log must tell of loss and recovery.
    is_noticed: ClassVar[bool] = False
    #: How many workers serve the queue.
    workers: ClassVar[int] = 1
    #: Whether leases are to be short, so that nobody has to wait long for their end.
    has_short_lease: ClassVar[bool] = False
    #: How long after the return a task may begin that was held by somebody who is gone.
    is_held_by_the_dead: ClassVar[bool] = False

    def __init__(self, run: Outages, hold_s: float | None, seed: int) -> None:
        self.run = run
        self.chance = random.Random(f"{seed} {type(self).__name__}")
        self.hold_s_now = self.hold_s if hold_s is None else hold_s

    @abstractmethod
    def strike(self, number: int) -> Struck:
        """Break, hold, mend."""

    def summary(self) -> str:
        """Return what is to be told in the end, or nothing."""
        return ""

    def broken(self) -> list[str]:
        """Return the promises of its own that were broken."""
        return []

    def hold(self, seconds: float | None = None) -> None:
        """Let it last: time is what is tried here, so there is nothing to wait for."""
        threading.Event().wait(self.hold_s_now if seconds is None else seconds)


class BrokerRestart(Fault):
    """The broker is killed and started again on the same data."""

    is_noticed = True

    def strike(self, number: int) -> Struck:
        server = self.run.site.server
        down_at = time.time()
        server.kill()
        self.hold(self.chance.random() * self.hold_s_now)
        server.start()
        return Struck(down_at, time.time())


class Freeze(Fault):
    """The broker stands still: connections stay open, nothing is answered."""

    hold_s = 30.0

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        self.run.site.server.freeze()
        try:
            self.hold()
        finally:
            self.run.site.server.thaw()
        return Struck(down_at, time.time())


class Cut(Fault):
    """Five connections are reset in the middle of a command: four of the worker's, one of the caller's."""

    def __init__(self, run: Outages, hold_s: float | None, seed: int) -> None:
        super().__init__(run, hold_s, seed)
        name = NAMERS[self.run.options.broker]
        self._cutters = {who: Cutter(name) for who in ("worker", "caller")}
        for who, cutter in self._cutters.items():
            self.run.site.proxies[who].cutter = cutter

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        for who in ("worker", "worker", "caller", "worker", "worker"):
            cutter = self._cutters[who]
            cutter.arm(self.chance.choice(PLACES), patience=self.chance.randrange(1, 100))
            assert cutter.struck.wait(_PASSES_WITHIN_S), "nothing passes that could be cut"
        return Struck(down_at, time.time())

    def summary(self) -> str:
        lines = []
        for who, cutter in self._cutters.items():
            commands: dict[str, list[str]] = {}
            for (command, place), count in cutter.done.items():
                commands.setdefault(command, []).append(f"{place} x{count}")
            lines += [f"  {who}: {command}: {', '.join(sorted(cuts))}" for command, cuts in sorted(commands.items())]
        return "cut:\n" + "\n".join(lines)


class Slow(Fault):
    """The network is slow: 30 ms for each packet each way, and 256 KiB a second."""

    hold_s = 10.0

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        with contextlib.ExitStack() as stack:
            for proxy in self.run.site.proxies.values():
                stack.enter_context(proxy.slow(0.03, 256 * 1024))
            self.hold()
        return Struck(down_at, time.time())


class Full(Fault):
    """The broker has no room left, and says so."""

    hold_s = 3.0

    def __init__(self, run: Outages, hold_s: float | None, seed: int) -> None:
        super().__init__(run, hold_s, seed)
        self._ways = itertools.cycle(run.site.fillings)

    def strike(self, number: int) -> Struck:
        how = next(self._ways)
        down_at = time.time()
        with self.run.site.full(how):
            self.hold()
        return Struck(down_at, time.time(), how)


class PoolServer(Fault):
    """The process that forks the pool's children is killed, and its children with it."""

    brokers = ("redis", "rabbitmq", "postgres", "sqlite")

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        os.kill(self.run.workers[0].server_pid(), signal.SIGKILL)
        return Struck(down_at, time.time())


class WorkerKill(Fault):
    """Of two workers on one queue one is killed, with what it holds, and started again."""

    brokers = ("redis", "rabbitmq", "postgres", "sqlite")
    workers = 2
    is_held_by_the_dead = True

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        self.run.workers[0].kill()
        self.run.workers[0] = self.run.start_worker("w0")
        return Struck(down_at, time.time())


class StopKill(Fault):
    """The worker is asked to stop, and killed while it does."""

    brokers = ("redis", "rabbitmq", "postgres", "sqlite")
    is_held_by_the_dead = True

    def strike(self, number: int) -> Struck:
        down_at = time.time()
        worker = self.run.workers[0]
        worker.process.terminate()
        self.hold(self.chance.random() * 0.3)
        worker.kill()
        self.run.workers[0] = self.run.start_worker("w0")
        self.run.wait_for_ready(self.run.workers[0])
        return Struck(down_at, time.time())


class Zombie(Fault):
    """Of two workers one is stopped for longer than its lease lasts, and wakes with work that others have done."""

    hold_s = 8.0
    has_short_lease = True
    brokers = ("redis", "rabbitmq", "postgres", "sqlite")
    workers = 2
    is_held_by_the_dead = True

    def strike(self, number: int) -> Struck:
        pid = self.run.workers[0].process.pid
        down_at = time.time()
        os.killpg(pid, signal.SIGSTOP)
        try:
            self.hold()
        finally:
            os.killpg(pid, signal.SIGCONT)
        return Struck(down_at, time.time())


class CallerKill(Fault):
    """Somebody who sends groups of tasks is killed in the middle of one: all of the group is there, or nothing."""

    brokers = ("redis", "rabbitmq", "postgres", "sqlite")
    hold_s = 0.3

    def strike(self, number: int) -> Struck:
        first = FOREIGN + number * 100_000
        # From the command line, since the caller's module would import the application into this process again.
        command = [sys.executable, "-m", "tests.faults.caller", str(first)]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as caller:
            until(lambda: any(entry.number >= first for entry in self.run.ledger.read()[-2000:]), 60.0)
            self.hold(self.chance.random() * self.hold_s_now)
            down_at = time.time()
            caller.kill()
        return Struck(down_at, time.time())

    def _groups(self) -> dict[int, int]:
        found = {(entry.number, entry.place) for entry in self.run.ledger.read() if entry.number >= FOREIGN}
        return collections.Counter(number for number, _ in found)

    def summary(self) -> str:
        groups = self._groups()
        return f"groups: {len(groups)}, of which {len(self._torn(groups))} are torn"

    def broken(self) -> list[str]:
        # AMQP knows no publishing of several messages at once, but for transactions, which are slower than confirms.
        torn = [] if self.run.options.broker == "rabbitmq" else self._torn(self._groups())
        return [f"torn groups: {torn[:5]}"] if torn else []

    @staticmethod
    def _torn(groups: dict[int, int]) -> list[int]:
        return [number for number, count in groups.items() if count != GROUP_SIZE]


FAULTS: Final[dict[str, type[Fault]]] = {
    "broker-restart": BrokerRestart,
    "cut": Cut,
    "freeze": Freeze,
    "slow": Slow,
    "disk-full": Full,
    "pool-server": PoolServer,
    "worker-kill": WorkerKill,
    "stop-kill": StopKill,
    "zombie": Zombie,
    "caller-kill": CallerKill,
}
