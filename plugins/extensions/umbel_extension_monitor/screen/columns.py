"""What the four tables show of their things."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from umbel.events import Task, Worker
from umbel_extension_monitor.feeds.surveying import QueueFigures, Surveying
from umbel_extension_monitor.picture.cluster import Cluster, Departed, NameFigures
from umbel_extension_monitor.picture.wording import age, clean, count, duration, per_second
from umbel_extension_monitor.screen.charts import spark
from umbel_extension_monitor.screen.table import Cell, Column
from umbel_extension_monitor.screen.tones import fit, fit_name, state_tone

__all__ = ["name_columns", "node_name", "pool_size", "queue_columns", "task_columns", "worker_columns"]


#: Columns are of so many seconds.
_MINUTE = 60


def node_name(node: Worker | Departed) -> str:
    """Return the worker's name."""
    return str((node.worker if isinstance(node, Departed) else node).hostname)


def pool_size(stats: Mapping[str, Any]) -> int | None:
    """Return how many tasks a worker runs at once, from its ``stats``."""
    pool = stats.get("pool")
    size = pool.get("max-concurrency") if isinstance(pool, Mapping) else None
    return size if isinstance(size, int) else None


def task_columns(cluster: Cluster) -> Sequence[Column[Task]]:
    """Return the columns of tasks."""

    def state(task: Task, width: int) -> Cell:
        mark, tone = state_tone(task.state)
        return f"{mark} {clean(task.state)}", tone

    def name(task: Task, width: int) -> Cell:
        return fit_name(clean(str(task.name or "?")), width), "strong"

    def call(task: Task, width: int) -> Cell:
        args, kwargs = str(task.args or ""), str(task.kwargs or "")
        text = clean(kwargs if args in ("", "()", "[]") and kwargs not in ("", "{}") else args)
        if task.exception is not None and task.state in ("FAILURE", "RETRY"):
            outcome = clean(str(task.exception)), state_tone(task.state)[1]
        elif task.result is not None:
            outcome = clean(str(task.result)), "plain"
        else:
            return text, "dim"
        room = max(8, width - 3 - cell_len(outcome[0]), width // 2 - 2)
        return [(text if cell_len(text) <= room else fit(text, room), "dim"), (" → ", "faint"), outcome]

    def run_time(task: Task, width: int) -> Cell:
        seconds = cluster.run_time(task)
        return ("", "dim") if seconds is None else (duration(seconds), "busy" if task.state == "STARTED" else "plain")

    def worker(task: Task, width: int) -> Cell:
        return clean(str(task.worker.hostname)) if task.worker is not None else "", "dim"

    return (
        Column(title="STATE", draw=state, width=10),
        Column(title="TASK", draw=name, width=20, grow=1),
        Column(title="CALL → OUTCOME", draw=call, width=18, grow=2, rank=3),
        Column(title="WORKER", draw=worker, width=9, grow=1, rank=2),
        Column(title="ID", draw=lambda task, _: (clean(str(task.uuid))[:8], "faint"), width=8, rank=5, spare=24),
        Column(title="RAN", draw=run_time, width=6, rank=1, right=True),
        Column(
            title="AGO", draw=lambda task, _: (age(task.timestamp, time.time()), "dim"), width=4, rank=1, right=True
        ),
    )


def worker_columns(cluster: Cluster, surveying: Surveying) -> Sequence[Column[Worker | Departed]]:
    """Return the columns of workers."""

    def inner(node: Worker | Departed) -> Worker:
        return node.worker if isinstance(node, Departed) else node

    def is_here(node: Worker | Departed) -> bool:
        return isinstance(node, Worker) and node.alive

    def name(node: Worker | Departed, width: int) -> Cell:
        return (f"● {clean(node_name(node))}", "good") if is_here(node) else (f"○ {clean(node_name(node))}", "faint")

    def busy(node: Worker | Departed, width: int) -> Cell:
        active, size = inner(node).active, pool_size(surveying.stats.get(node_name(node), {}))
        if not is_here(node):
            return "off", "faint"
        full = size is not None and active is not None and active >= size
        return f"{'-' if active is None else active}{'' if size is None else f'/{size}'}", "busy" if full else "plain"

    def rate(node: Worker | Departed, width: int) -> Cell:
        value = cluster.node_meter(node_name(node)).rate(time.time(), "ended") if is_here(node) else 0
        return per_second(value), "plain" if value else "faint"

    def failed(node: Worker | Departed, width: int) -> Cell:
        number = cluster.node_meter(node_name(node)).totals["failed"]
        return count(number), "bad" if number else "faint"

    def load(node: Worker | Departed, width: int) -> Cell:
        loads = inner(node).loadavg
        return (f"{loads[0]:.1f}" if isinstance(loads, list | tuple) and loads else "-"), "dim"

    def heard(node: Worker | Departed, width: int) -> Cell:
        beats = inner(node).heartbeats
        return age(node.at if isinstance(node, Departed) else beats[-1] if beats else None, time.time()), "dim"

    def columns(node: Worker | Departed, width: int) -> Cell:
        series = cluster.node_meter(node_name(node)).series(time.time(), "ended", _MINUTE)
        return spark(series, width), "good"

    return (
        Column(title="WORKER", draw=name, width=13, grow=3),
        Column(title="BUSY", draw=busy, width=5, right=True),
        Column(title="ENDED/S", draw=rate, width=7, rank=1, right=True),
        Column(title="LAST MINUTE", draw=columns, width=11, grow=2, rank=2),
        Column(title="FAILED", draw=failed, width=6, rank=1, right=True),
        Column(title="DONE", draw=lambda node, _: (count(inner(node).processed), "plain"), width=6, rank=3, right=True),
        Column(title="LOAD", draw=load, width=5, rank=4, right=True),
        Column(title="HEARD", draw=heard, width=5, rank=5, right=True),
        Column(title="SOFTWARE", draw=lambda node, _: (_software(inner(node)), "dim"), width=15, rank=6),
    )


def _software(worker: Worker) -> str:
    return clean(f"{worker.sw_ident or ''} {worker.sw_ver or ''}".strip())


def queue_columns() -> Sequence[Column[QueueFigures]]:
    """Return the columns of queues."""

    def change(queue: QueueFigures, width: int) -> Cell:
        value = queue.change_per_s()
        if abs(value) < 0.05:
            return "=", "faint"
        return f"{'+' if value > 0 else '-'}{per_second(abs(value))}", "warn" if value > 0 else "good"

    def empty_in(queue: QueueFigures, width: int) -> Cell:
        value = queue.change_per_s()
        if not queue.depth:
            return "", "faint"
        return (duration(queue.depth / -value), "dim") if value < -0.05 else ("never" if value > 0.05 else "", "dim")

    def takers(queue: QueueFigures, width: int) -> Cell:
        if queue.workers is None:
            return "-", "faint"
        return (str(len(queue.workers)), "plain") if queue.workers else ("0", "warn" if queue.depth else "faint")

    def columns(queue: QueueFigures, width: int) -> Cell:
        return spark([depth for _, depth in list(queue.depths)[-_MINUTE:]], width), "busy"

    return (
        Column(
            title="QUEUE", draw=lambda queue, width: (fit_name(clean(queue.name), width), "strong"), width=12, grow=3
        ),
        Column(
            title="WAIT",
            draw=lambda queue, _: (count(queue.depth), "plain" if queue.depth else "faint"),
            width=6,
            right=True,
        ),
        Column(title="CHANGE/S", draw=change, width=8, rank=1, right=True),
        Column(title="EMPTY IN", draw=empty_in, width=8, rank=3, right=True),
        Column(title="LAST MINUTE", draw=columns, width=11, grow=2, rank=2),
        Column(title="TAKERS", draw=takers, width=6, rank=1, right=True),
    )


def name_columns(cluster: Cluster) -> Sequence[Column[NameFigures]]:
    """Return the columns of names of tasks."""

    def total(figures: NameFigures, kind: str, tone: str) -> Cell:
        number = figures.meter.totals[kind]
        return count(number), tone if number else "faint"

    def span(figures: NameFigures, percent: float) -> Cell:
        seconds = cluster.looking(lambda: figures.meter.run_times(time.time()).percentile(percent))
        return duration(seconds), "plain" if seconds is not None else "faint"

    def rate(figures: NameFigures, width: int) -> Cell:
        value = figures.meter.rate(time.time(), "received")
        return per_second(value), "plain" if value else "faint"

    def columns(figures: NameFigures, width: int) -> Cell:
        return spark(figures.meter.run_time_series(time.time(), 95, _MINUTE), width), "busy"

    return (
        Column(title="TASK", draw=lambda one, width: (fit_name(clean(one.name), width), "strong"), width=20, grow=2),
        Column(title="CAME/S", draw=rate, width=6, right=True),
        Column(title="P50", draw=lambda one, _: span(one, 50), width=6, rank=3, right=True),
        Column(title="P95", draw=lambda one, _: span(one, 95), width=6, rank=1, right=True),
        Column(title="LAST MINUTE", draw=columns, width=11, grow=3, rank=2),
        Column(title="DONE", draw=lambda one, _: total(one, "succeeded", "good"), width=6, rank=4, right=True),
        Column(title="FAILED", draw=lambda one, _: total(one, "failed", "bad"), width=6, rank=1, right=True),
        Column(title="RETRIED", draw=lambda one, _: total(one, "retried", "warn"), width=7, rank=5, right=True),
    )
