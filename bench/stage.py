"""Sets up what a measurement needs on one broker, and runs a peer's client and worker there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import peers
from bench.trees import Tree

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 180


class Missing(Exception):
    """A peer that cannot run here."""


class Stage:
    """A fresh folder and an empty broker for one peer; what is started here is ended with it."""

    def __init__(self, peer, broker):
        self.peer = peer
        self.broker = broker
        self._closing = contextlib.ExitStack()
        self.home = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="umbel-bench-"))
        self.environment = {
            **os.environ,
            "BENCH_HOME": self.home,
            "BENCH_BROKER": broker.name,
            "BENCH_URL": broker.url,
            "BENCH_RESULTS": broker.results,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        self.environment.pop("UMBEL_HOME", None)

    def __enter__(self):
        facts = "import json; from bench import peers; p = peers.load('%s'); print(json.dumps([p.missing(), *peers.facts(p)]))"
        missing, self.title, self.share, self.bulk, self.naps = json.loads(self.python("-c", facts % self.peer))
        if missing:
            self._closing.close()
            raise Missing(missing)
        self.broker.reset()
        return self

    def __exit__(self, *exc):
        self._closing.close()

    def python(self, *arguments):
        """Run Python and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return done.stdout

    def forget_marks(self):
        """Remove every mark, for another measurement on this stage."""
        for path in Path(self.home).glob("mark-*"):
            path.unlink()

    def client(self, operation, *arguments):
        """Run one operation of the calling side in a process of its own."""
        said = self.python("-m", "bench.client", self.peer, operation, *map(str, arguments))
        return json.loads(said.splitlines()[-1])

    def worker(self, concurrency=2, pool="processes", more=()):
        """Start the peer's worker, with *more* options; it ends with this stage, or with its :meth:`Worker.end`."""
        command = f"import json; from bench import peers; print(json.dumps(peers.load('{self.peer}').worker({concurrency}, '{pool}')))"
        words = [*json.loads(self.python("-c", command)), *more]
        process = subprocess.Popen(
            words, env=self.environment, cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        worker = Worker(process)
        self._closing.callback(worker.end)
        return worker

    def mark(self, label):
        """Return when *label* was marked, or ``None``."""
        try:
            return float(Path(f"{self.home}/mark-{label}").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def wait_for_mark(self, label, step_s=0.002):
        """Wait until *label* is marked, and return when that was."""
        return self.wait_for(lambda: self.mark(label), f"{label} was not marked", step_s)

    def wait_for(self, condition, problem, step_s=0.002):
        """Wait until *condition* answers with something else than ``None``, and return it."""
        deadline = time.monotonic() + PATIENCE_S
        while (answer := condition()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.title}: {problem} within {PATIENCE_S} s")
            time.sleep(step_s)
        return answer

    def running_worker(self, concurrency=2, pool="processes"):
        """Start a worker and wait until it has run a task."""
        worker = self.worker(concurrency, pool)
        self.client("mark", "running")
        self.wait_for_mark("running")
        return worker


class Meter:
    """The CPU of a worker and of its broker, from the moment it is made."""

    def __init__(self, stage, worker):
        self._worker = worker
        self._broker = stage.broker
        self._before = self._read()

    def _read(self):
        return self._worker.cpu(), self._worker.root_cpu(), self._broker.cpu()

    def each(self, count, prefix=""):
        """Return CPU in us for each of *count* tasks: the whole worker's, its parent's part, the broker's."""
        used, parent, broker = (
            None if after is None else 1e6 * (after - before) / count
            for before, after in zip(self._before, self._read(), strict=True)
        )
        figures = {f"{prefix}CPU us": used, f"{prefix}parent us": parent}
        return figures if broker is None else {**figures, f"{prefix}broker us": broker}


class Worker(Tree):
    """A worker that was started here."""

    def __init__(self, process):
        super().__init__(process.pid)
        self._process = process

    def end(self):
        """End it: in good order, then not."""
        process = self._process
        if process.poll() is not None:
            return
        tree = self.processes()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            for one in tree:
                with contextlib.suppress(Exception):
                    one.kill()
            process.wait()


def each_peer(options, broker, measure, names=None):
    """Call *measure* with a stage for each peer of *broker*; return its rows, and why others were left out."""
    rows, left_out = [], {}
    here = names or peers.PEERS[broker.name]
    for name in options.peers or here:
        if name not in here:
            left_out[name] = f"not measured here on {broker.name}"
            continue
        try:
            with Stage(name, broker) as stage:
                rows.append({"system": stage.title, **measure(stage)})
        except Missing as missing:
            left_out[name] = str(missing)
    return rows, left_out
