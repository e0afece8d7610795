"""A run: workers and callers under load, broken and mended round by round, and counted in the end."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
from tests.faults.breaking import FAULTS, Fault, Struck
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.sites import Site
from tests.faults.verdict import RESUMED_WITHIN_S, Verdict
from tests.faults.workers import LOSS, RECOVERY, WorkerProcess

from umbel.testing.threads import until

__all__ = ["Outages", "Round"]

PUBLISH_TIMEOUT_S: Final = 5.0
_SETTLED_WITHIN_S: Final = 30.0
_QUIET_WITHIN_S: Final = 40.0
#: So many tasks begin in each round before something is broken.
_FLOWING: Final = 30


@attrs.define
class Round:
    """What was seen in one round; times in seconds."""

    number: int
    fault: Fault
    struck: Struck
    resumed_after_s: float | None = None
    worst_delay_s: float = 0.0
    refused: int = 0
    #: What the log should have told, and did not.
    untold: str = ""


class Outages:
    """One run of ``--fault``; :meth:`run` returns the exit code."""

    def __init__(self, options: argparse.Namespace, folder: Path, site: Site) -> None:
        options.broker = options.broker or "redis"
        self.options = options
        self.site = site
        self.folder = folder
        self.rounds: list[Round] = []
        self.kinds = [FAULTS[name] for name in options.fault.split(",")]
        for kind in self.kinds:
            if options.broker not in kind.brokers:
                raise SystemExit(f"{kind.__name__} makes no sense with {options.broker}")
        self._has_short_lease = any(kind.has_short_lease for kind in self.kinds)
        self.workers: list[WorkerProcess] = []
        self.ledger = Ledger(folder / "ledger")

    def run(self) -> int:
        options = self.options
        self._load_app()
        self.load = Load(self.module, self.ledger, options.rate, options.seed)
        self.faults = [kind(self, options.hold, options.seed) for kind in self.kinds]
        try:
            self.workers = [self.start_worker(f"w{index}") for index in range(max(kind.workers for kind in self.kinds))]
            for worker in self.workers:
                self.wait_for_ready(worker)
            self.load.start()
            self._round(0, self.faults[0])  # to warm up; what it takes in memory is not counted
            before = self._quiet_memory()
            for number, fault in enumerate(self.faults * options.rounds, start=1):
                self._round(number, fault)
            after = self._quiet_memory()
            self.load.stop()
            verdict = Verdict(self, before, after)
            return verdict.tell()
        finally:
            self.load.stop()
            codes = [worker.stop() for worker in self.workers]
            if options.verbose or any(codes):
                for worker in self.workers:
                    print(worker.log()[-6000:])
            self.module.app.close()

    # -- processes ----------------------------------------------------------------------------------------------------

    def _load_app(self) -> None:
        os.environ.update(self._environment("caller"))
        self.module: Any = importlib.import_module("tests.faults.faultapp")

    def _environment(self, who: str) -> dict[str, str]:
        return {
            "FAULTS": str(self.folder),
            "FAULTS_BROKER": self.site.through(who, self.site.broker_url),
            "FAULTS_BACKEND": self.site.through(who, self.site.backend_url),
            "FAULTS_PUBLISH_TIMEOUT_S": str(PUBLISH_TIMEOUT_S),
            "FAULTS_SETTINGS": json.dumps(self.site.short_lease if self._has_short_lease else {}),
        }

    def start_worker(self, name: str) -> WorkerProcess:
        """Start a worker, without waiting for it."""
        return WorkerProcess(self.folder, self._environment("worker"), name)

    def wait_for_ready(self, worker: WorkerProcess) -> None:
        """Wait until *worker* takes messages."""
        until(lambda: worker.is_ready or not worker.is_alive, 60.0)
        assert worker.is_alive, worker.log()[-3000:]

    # -- a round ------------------------------------------------------------------------------------------------------

    def _round(self, number: int, fault: Fault) -> None:
        """Break and mend once; note what was seen."""
        self.load.round = number
        started = time.time()
        until(lambda: self.ledger.count_after(started) >= _FLOWING, 60.0)
        refused = self.load.refused
        sizes = [worker.log_size for worker in self.workers]
        struck = fault.strike(number)
        seen = Round(number, fault, struck)
        self._watch_resumption(seen)
        seen.untold = self._untold(sizes, is_noticed=fault.is_noticed)
        seen.worst_delay_s = self.load.take_worst_delay()
        seen.refused = self.load.refused - refused
        self.rounds.append(seen)
        if self.load.failure is not None:
            raise self.load.failure
        self._print(seen)

    def _watch_resumption(self, seen: Round) -> None:
        up_at = seen.struck.up_at
        try:
            first = until(lambda: self.ledger.first_after(up_at), _SETTLED_WITHIN_S)
        except AssertionError:
            return
        assert first is not None
        seen.resumed_after_s = first - up_at

    def _untold(self, sizes: list[int], *, is_noticed: bool) -> str:
        """Say what the workers' logs are silent about: each loss is told, and each recovery."""
        for worker, size in zip(self.workers, sizes, strict=True):
            if is_noticed and not _comes_true(lambda worker=worker, size=size: worker.said_after(size, LOSS)):  # type: ignore[misc]
                return "the loss"
            if not _comes_true(lambda worker=worker, size=size: _is_recovery_told(worker.log(size))):  # type: ignore[misc]
                return "the recovery"
        return ""

    def _print(self, seen: Round) -> None:
        resumed = "never" if seen.resumed_after_s is None else f"{seen.resumed_after_s:.2f} s"
        lasted = seen.struck.up_at - seen.struck.down_at
        print(
            f"round {seen.number:3}: {type(seen.fault).__name__} for {lasted:5.2f} s, resumed after {resumed}, worst delay() "
            f"{seen.worst_delay_s:.2f} s, {seen.refused} calls refused"
            + (f"; log does not tell {seen.untold}" if seen.untold else "")
            + (f" [{seen.struck.note}]" if seen.struck.note else "")
        )
        sys.stdout.flush()

    # -- memory -------------------------------------------------------------------------------------------------------

    def _quiet_memory(self) -> dict[str, int]:
        """Let everything come to its end, and ask the first worker what it holds then."""
        with self.load.paused():
            # When not all comes, the verdict tells what is missing.
            with contextlib.suppress(AssertionError):
                until(lambda: self.ledger.has_begun(self.load.expected_lines()), _QUIET_WITHIN_S, 0.1)
            return self.workers[-1].memory()


def _is_recovery_told(log: str) -> bool:
    """Say whether every loss in *log* is followed by its recovery."""
    return all(log.rfind(loss) <= log.rfind(recovery) for loss, recovery in zip(LOSS, RECOVERY, strict=True))


def _comes_true(condition: Callable[[], bool]) -> bool:
    """Say whether *condition* holds, now or in a moment."""
    try:
        until(condition, RESUMED_WITHIN_S + 2)
    except AssertionError:
        return False
    return True
