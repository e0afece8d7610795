"""Many tasks that wait, in pools that can wait for many at once."""

from __future__ import annotations

from pathlib import Path

from bench.stage import each_peer

TITLE = "sleepers: tasks of 50 ms that wait, a hundred at a time; the ideal is 100 %"
CONCURRENCY, NAP_S = 100, 0.05


def naps(stage, count):
    """Return (begin, end) of each nap once all have ended."""
    path = Path(stage.home) / "naps"
    text = path.read_text(encoding="ascii") if path.exists() else ""
    lines = text.splitlines()
    return [tuple(map(float, line.split())) for line in lines] if len(lines) >= count and text[-1] == "\n" else None


def measure(stage, count):
    row = {"tasks": count}
    ideal_s = count * NAP_S / CONCURRENCY
    for pool, task in stage.naps.items():
        worker = stage.running_worker(CONCURRENCY, pool)
        before = worker.cpu()
        stage.client("send", task, count, "bulk", 0)
        done = stage.wait_for(lambda: naps(stage, count), "not all have slept", 0.02)
        seconds = max(end for _, end in done) - min(began for began, _ in done)
        row |= {f"{pool} s": seconds, f"{pool} %": 100 * seconds / ideal_s}
        row[f"{pool} CPU us"] = 1e6 * (worker.cpu() - before) / count
        worker.end()
        stage.forget_marks()
        (Path(stage.home) / "naps").unlink()
    return row


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, 1000))
