"""What a worker says when it starts: who it is, where it is connected, what it takes and what it can run."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from umbel.urls import mask_url

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["banner"]


def banner(worker: Worker, version: str, *, with_tasks: bool = True) -> str:
    """Return the banner of C004; URLs never show their password. *with_tasks* adds the list of known tasks."""
    app, options = worker.app, worker.options
    backend = mask_url(app.backend_url) if worker.keeps_results else "disabled://"
    lines = [
        f" -- {worker.node} v{version}",
        f" -- {platform.platform()}, Python {platform.python_version()}",
        "",
        "[config]",
        f".> app:         {app.main or '__main__'}",
        f".> transport:   {mask_url(app.broker_url)}",
        f".> results:     {backend}",
        f".> concurrency: {options.concurrency} ({options.pool})",
        f".> task events: {'ON' if options.task_events else 'OFF (enable -E to monitor tasks in this worker)'}",
        "",
        "[queues]",
    ]
    lines += [
        f".> {queue.name:<16} exchange={queue.exchange.name}({queue.exchange.kind}) key={queue.routing_key}"
        for queue in worker.queues
    ]
    if with_tasks:
        names = sorted(app.tasks.regular())
        lines += ["", "[tasks]", *(f"  . {name}" for name in names)]
    return "\n".join(lines) + "\n"
