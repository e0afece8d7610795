"""Sets up what a measurement needs, a folder and perhaps a Redis server, and measures processes from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench import peers

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 180


class Missing(Exception):
    """A peer that cannot run here."""


class Stage:
    """A fresh folder for one peer; what is started on it is ended with it."""

    def __init__(self, peer, redis_url):
        self.peer = peer
        self._closing = contextlib.ExitStack()
        self.home = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="umbel-bench-"))
        self.environment = {**os.environ, "BENCH_HOME": self.home, "BENCH_REDIS": redis_url, "PYTHONPATH": str(ROOT)}
        self.environment.pop("UMBEL_HOME", None)

    def __enter__(self):
        facts = "import json; from bench import peers; p = peers.load('%s'); print(json.dumps([p.missing(), p.NAME, p.SHARE, p.BULK]))"
        missing, self.title, self.share, self.bulk = json.loads(self.python("-c", facts % self.peer))
        if missing:
            self._closing.close()
            raise Missing(missing)
        if self.environment["BENCH_REDIS"]:
            self.python("-c", f"import redis; redis.Redis.from_url({self.environment['BENCH_REDIS']!r}).flushall()")
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

    def worker(self, concurrency=2):
        """Start the peer's worker; it ends with this stage."""
        command = (
            f"import json; from bench import peers; print(json.dumps(peers.load('{self.peer}').worker({concurrency})))"
        )
        words = json.loads(self.python("-c", command))
        process = subprocess.Popen(
            words, env=self.environment, cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._closing.callback(end, process)
        return Tree(process)

    def mark(self, label):
        """Return when *label* was marked, or ``None``."""
        try:
            return float(Path(f"{self.home}/mark-{label}").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def wait_for_mark(self, label, step_s=0.002):
        """Wait until *label* is marked, and return when that was."""
        deadline = time.monotonic() + PATIENCE_S
        while (at := self.mark(label)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.title}: {label} was not marked within {PATIENCE_S} s")
            time.sleep(step_s)
        return at

    def running_worker(self, concurrency=2):
        """Start a worker and wait until it has run a task."""
        tree = self.worker(concurrency)
        self.client("mark", "running")
        self.wait_for_mark("running")
        return tree


class Tree:
    """A process and all that descend from it."""

    def __init__(self, process):
        self._process = process
        self.root = psutil.Process(process.pid)

    def processes(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.root, *self.root.children(recursive=True)]
        return []

    def cpu(self):
        """Return the CPU seconds that the tree has used, its dead children included."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def end(self):
        """End it, in good order if it can."""
        end(self._process)

    def memory(self):
        """Return the private memory of each process in MB, the root's first."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(process.memory_full_info().uss / 1e6)
        return found


def end(process):
    """End a worker: in good order, then not."""
    if process.poll() is not None:
        return
    tree = Tree(process).processes()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        for one in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


@contextlib.contextmanager
def redis_server():
    """Run a Redis server that keeps nothing, where one is installed; give its URL, or an empty text."""
    program = shutil.which("redis-server")
    if program is None:
        yield ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def each_peer(names, redis_url, measure):
    """Call *measure* with a stage for each peer; return its rows, and why others were left out."""
    rows, left_out = [], {}
    for name in names or peers.PEERS:
        try:
            with Stage(name, redis_url) as stage:
                rows.append({"system": stage.title, **measure(stage)})
        except Missing as missing:
            left_out[name] = str(missing)
    return rows, left_out
