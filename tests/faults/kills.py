"""Kill a worker's processes at every point of a task's way, and count: nothing may be lost.

Sends tasks (every fifth retries once, every third calls another), runs a worker that dies again and again, starts it
again each time, and in the end compares what was sent with what became of it.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from tests.faults.faultpoints import CHILD_POINTS, PARENT_POINTS

ROOT = Path(__file__).resolve().parents[2]


class Kills:
    """One run; :meth:`run` returns the exit code: 1 when anything was lost."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.deadline = time.monotonic() + options.timeout
        self.tasks = options.tasks or options.kills * 10
        broker = options.broker or f"sqlite:///{folder}/faults.db"
        self.environment = {
            **os.environ,
            "FAULTS": str(folder),
            "FAULTS_BROKER": broker,
            "FAULTS_BACKEND": options.backend or broker,
            "FAULTS_SEED": str(options.seed),
            "PYTHONPATH": str(ROOT),
        }

    def run(self) -> int:
        self.deal_tokens()
        app = self.load_app()
        started = time.monotonic()
        ids = self.send(app)
        starts = self.serve(app, ids)
        return self.report(app, ids, starts, time.monotonic() - started)

    def deal_tokens(self) -> None:
        tokens = self.folder / "tokens"
        tokens.mkdir()
        for number in range(self.options.kills):
            (tokens / f"{number:05}.token").touch()
        # A worker's points are passed once a batch, a child's once a task; the worker takes longer to come back.
        parents = self.options.parents / 100
        chances = dict.fromkeys(PARENT_POINTS, 0.1 * parents) | dict.fromkeys(CHILD_POINTS, 0.05 * (1 - parents))
        lines = [f"{point}={chance}" for point, chance in chances.items()]
        (tokens / "chances").write_text("\n".join(lines))

    def load_app(self) -> ModuleType:
        os.environ.update({key: value for key, value in self.environment.items() if key.startswith("FAULTS")})
        return importlib.import_module("tests.faults.faultapp")

    def send(self, module: ModuleType) -> dict[str, int]:
        """Send everything in a few batches; return id -> the value that must come of it."""
        expected: dict[str, int] = {}
        signatures = []
        for number in range(self.tasks):
            signature = module.work.s(number)
            if number % 3 == 0:
                follower = module.follow.s(number).set(task_id=f"follow-{number}")
                signature.link(follower)
                expected[f"follow-{number}"] = number * 3
            signatures.append(signature.set(task_id=f"work-{number}"))
            expected[f"work-{number}"] = number * 2
        for start in range(0, len(signatures), 500):
            module.app.send_tasks(signatures[start : start + 500])
        return expected

    def serve(self, module: ModuleType, expected: dict[str, int]) -> int:
        """Start workers, one after the other, until everything has come to its end; return how many."""
        left = set(expected)
        starts = 0
        worker = None
        while left and time.monotonic() < self.deadline:
            if worker is None or worker.poll() is not None:
                starts += 1
                worker = self.start_worker()
            for meta in module.app.backend.wait(sorted(left)[:500], 0.2):
                left.discard(meta.task_id)
        if worker is not None:
            worker.terminate()
            worker.wait(30)
        return starts

    def start_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "umbel", "-A", "tests.faults.faultapp", "worker", "-c", "2", "-l", "warning"]
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment, "FAULTS_ARMED": "1"},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def report(self, module: ModuleType, expected: dict[str, int], starts: int, seconds: float) -> int:
        results = dict(zip(expected, module.app.backend.load(list(expected)), strict=True))
        states = collections.Counter("LOST" if meta is None else meta.state for meta in results.values())
        lost = [task_id for task_id, meta in results.items() if meta is None or not meta.is_final]
        wrong = [
            task_id
            for task_id, value in expected.items()
            if results[task_id] is not None
            and results[task_id].state == "SUCCESS"
            and module.app.AsyncResult(task_id).get(timeout=5) != value
        ]
        effects = collections.Counter((self.folder / "effects").read_text().splitlines())
        retried = {f"work {number}" for number in range(0, self.tasks, 5)}
        again = sum(count - (2 if what in retried else 1) for what, count in effects.items())
        left = module.app.open_transport().count(["celery", "celery.parked"])
        kills = collections.Counter((self.folder / "tokens" / "kills").read_text().splitlines())
        for point, count in sorted(kills.items()):
            print(f"{count:5} killed at {point}")
        print(
            f"{sum(kills.values())} kills, {starts} workers, {len(expected)} tasks in {seconds:.1f} s, seed {self.options.seed}"
        )
        print(f"states: {dict(states)}; run again: {again}; left in the queue: {left[0]}; parked: {left[1]}")
        print(f"lost: {len(lost)} {lost[:5]}; wrong: {len(wrong)} {wrong[:5]}")
        failed = bool(lost or wrong or left[0] or left[1] != states["FAILURE"])
        if failed:
            print((self.folder / "worker.log").read_text()[-4000:])
        return 1 if failed else 0
