"""The figures of a worker, at the moment somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.exceptions import UmbelError
from umbel.worker.http.exposition import Exposition
from umbel.worker.http.readiness import what_is_wrong
from umbel.worker.http.recorder import Recorder

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["render"]

_COUNT_TIMEOUT_S = 2.0


def render(worker: Worker, recorder: Recorder) -> str:
    """Return the text for Prometheus. Asks the broker for the length of the worker's queues."""
    out = Exposition()
    _tasks(out, recorder)
    _worker(out, worker)
    _queues(out, worker)
    return str(out)


def _tasks(out: Exposition, recorder: Recorder) -> None:
    received = [({"name": name}, count) for name, count in sorted(recorder.received.copy().items())]
    out.family("tasks_received_total", "counter", "Tasks that came in, by name.", received)
    ends = [({"name": name, "state": state}, count) for (name, state), count in sorted(recorder.ends.copy().items())]
    out.family("tasks_total", "counter", "Tasks that have ended, by name and state.", ends)
    runtimes = [({"name": name}, histogram) for name, histogram in sorted(recorder.runtimes.copy().items())]
    out.histograms("task_runtime_seconds", "How long tasks ran.", runtimes)
    waits = [({"name": name}, histogram) for name, histogram in sorted(recorder.waits.copy().items())]
    out.histograms("task_wait_seconds", "How long tasks waited in the worker until they ran.", waits)


def _worker(out: Exposition, worker: Worker) -> None:
    from umbel import __version__  # the package's own attribute, which is there when the package is imported

    info = {"node": worker.node, "version": __version__, "pool": worker.options.pool}
    out.family("worker_info", "gauge", "What this worker is.", [(info, 1)])
    out.family("worker_ready", "gauge", "Whether it does its work.", [({}, 0 if what_is_wrong(worker) else 1)])
    out.family("worker_start_time_seconds", "gauge", "When it was started.", [({}, worker.started_at or 0.0)])
    size = worker.pool.describe().get("max-concurrency", worker.options.concurrency)
    out.family("pool_size", "gauge", "How many tasks can run at once.", [({}, size)])
    out.family("pool_running", "gauge", "How many tasks run.", [({}, len(worker.pool.running()))])
    out.family("tasks_outstanding", "gauge", "Tasks that run or wait in this worker.", [({}, worker.jobs.size())])
    out.family(
        "tasks_held", "gauge", "Tasks that are held until they are due.", [({}, len(worker.admission.waiting()))]
    )
    out.family("commit_backlog", "gauge", "Ends that wait for their commit.", [({}, worker.outflow.backlog())])
    reconnects = worker.intake.reconnects
    out.family(
        "broker_reconnects_total", "counter", "Times the connection to the broker was made anew.", [({}, reconnects)]
    )
    out.family("events_dropped_total", "counter", "Events that were never sent.", [({}, worker.events.dropped)])


def _queues(out: Exposition, worker: Worker) -> None:
    names = sorted(worker.intake.queues)
    try:
        with worker.app.publisher.borrowed(_COUNT_TIMEOUT_S) as transport:
            counts = transport.count(names)
    except (UmbelError, OSError):
        out.family("broker_up", "gauge", "Whether the broker answered just now.", [({}, 0)])
        return
    out.family("broker_up", "gauge", "Whether the broker answered just now.", [({}, 1)])
    samples = [({"queue": name}, count) for name, count in zip(names, counts, strict=True)]
    out.family("queue_messages", "gauge", "Messages that wait in the queues of this worker.", samples)
