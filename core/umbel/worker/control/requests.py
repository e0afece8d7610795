"""The tasks that a worker has in its hands, as remote control shows them (``WIRE.md`` 7)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umbel.protocol.tasks import decode_body
from umbel.spi import RunningJob
from umbel.worker.held import Held

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["active", "find", "info", "reserved", "scheduled"]


logger = logging.getLogger("umbel.worker.control")


def info(worker: Worker, held: Held, running: RunningJob | None = None, *, safe: bool = False) -> dict[str, Any]:
    """Return what is known of a request; with *safe* its arguments are not decoded."""
    headers, delivery = held.headers, held.delivery
    args: Any = headers.get("argsrepr")
    kwargs: Any = headers.get("kwargsrepr")
    if not safe:
        try:
            codec = worker.app.codec
            accept = codec.content_types(worker.app.conf.accept_content)
            args, kwargs, _ = decode_body(delivery.message, codec, accept)
        except Exception as error:  # whatever a body may hold: then the texts of its header have to do
            logger.debug("the body of %s cannot be shown: %r", held.task_id, error)
    return {
        "id": held.task_id,
        "name": held.name,
        "args": args,
        "kwargs": kwargs,
        "type": held.name,
        "hostname": worker.node,
        "time_start": None if running is None else running.started_at,
        "acknowledged": held.acknowledged,
        "delivery_info": {
            "exchange": delivery.exchange,
            "routing_key": delivery.routing_key,
            "priority": delivery.priority,
            "redelivered": delivery.redelivered,
        },
        "worker_pid": None if running is None else running.pid,
    }


def _running(worker: Worker) -> dict[int, RunningJob]:
    return {job.job_id: job for job in worker.pool.running()}


def active(worker: Worker, *, safe: bool = False) -> list[dict[str, Any]]:
    """Return what runs."""
    found = ((worker.jobs.get(job_id), job) for job_id, job in _running(worker).items())
    return [info(worker, held, job, safe=safe) for held, job in found if held is not None]


def reserved(worker: Worker) -> list[dict[str, Any]]:
    """Return what waits for a free place in the pool, or for its turn under a rate limit."""
    running = _running(worker)
    waiting = [held for job_id, held in worker.jobs.items() if job_id not in running]
    return [info(worker, held) for held in (*waiting, *_limited(worker))]


def scheduled(worker: Worker) -> list[dict[str, Any]]:
    """Return what is held until it is due."""
    return [
        {"eta": held.headers.get("eta"), "priority": 6, "request": info(worker, held)}
        for held in worker.admission.waiting()
        if held.headers.get("eta")
    ]


def _limited(worker: Worker) -> Iterable[Held]:
    return (held for held in worker.admission.waiting() if not held.headers.get("eta"))


def find(worker: Worker, ids: Iterable[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return ``{id: (state, info)}`` of those of *ids* that are here."""
    wanted = set(ids)
    running = _running(worker)
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for held in worker.admission.waiting():
        if held.task_id in wanted:
            found[held.task_id] = ("scheduled" if held.headers.get("eta") else "reserved", info(worker, held))
    for job_id, held in worker.jobs.items():
        if held.task_id in wanted:
            job = running.get(job_id)
            found[held.task_id] = ("reserved" if job is None else "active", info(worker, held, job))
    return found
