"""Commands that change how a worker works: queues, pool, events, its end."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from umbel.worker.control.answers import failed, ok
from umbel.worker.control.panel import ControlState, control_command

if TYPE_CHECKING:
    from umbel.model import Queue

__all__ = [
    "add_consumer",
    "autoscale",
    "cancel_consumer",
    "disable_events",
    "election",
    "enable_events",
    "heartbeat",
    "pool_grow",
    "pool_restart",
    "pool_shrink",
    "shutdown",
]

# -- queues -----------------------------------------------------------------------------------------------------------


@control_command(
    args=[("queue", str), ("exchange", str), ("exchange_type", str), ("routing_key", str)],
    signature="<queue> [exchange [type [routing_key]]]",
)
def add_consumer(
    state: ControlState,
    queue: str,
    exchange: str | None = None,
    exchange_type: str | None = None,
    routing_key: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Take messages from a queue too."""
    found = _queue(state, queue, exchange, exchange_type, routing_key, options)
    pool = state.app.connections.transports
    state.worker.control.with_transport(lambda transport: pool.declare(transport, [found]))
    state.worker.intake.add_queue(found)
    state.logger.info("takes messages from queue %s too, told from outside", found.name)
    return ok(f"add consumer {queue}")


def _queue(
    state: ControlState,
    name: str,
    exchange: str | None,
    exchange_type: str | None,
    routing_key: str | None,
    options: dict[str, Any],
) -> Queue:
    """Return the queue as it is configured, or one of that name through an exchange of that name."""
    queues = state.app.queues
    if name in queues:
        return queues.select_add(name)
    return queues.select_add(
        name,
        exchange=exchange or f"{state.app.conf.queue_name_prefix}{name}",
        exchange_type=exchange_type or "direct",
        routing_key=routing_key or f"{state.app.conf.queue_name_prefix}{name}",
        **options,
    )


@control_command(args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: ControlState, queue: str, **kwargs: Any) -> dict[str, Any]:
    """Take no more messages from a queue."""
    worker = state.worker
    consumed = list(worker.intake.queues.values())
    for name in {each.name for each in consumed if queue in (each.name, each.alias)}:
        worker.intake.cancel_queue(name)
        state.logger.info("takes no more messages from queue %s, told from outside", name)
    return ok(f"no longer consuming from {queue}")


# -- the pool ---------------------------------------------------------------------------------------------------------


def _resize(state: ControlState, n: int, answer: str) -> dict[str, Any]:
    worker = state.worker
    name = worker.options.pool
    if not worker.pool.capabilities.resize:
        return failed(f"the pool {name!r} cannot grow or shrink; use prefork or threads")
    if worker.control.autoscaler is not None:
        return failed("pool_grow and pool_shrink are not for a worker with autoscale; change its bounds instead")
    wanted = worker.concurrency + n
    if wanted < 1:
        return failed(f"expected at least one process to be left, got {worker.concurrency} and {-n} fewer")
    worker.resize(wanted)
    return ok(answer)


@control_command(args=[("n", int)], signature="[N=1]")
def pool_grow(state: ControlState, n: int = 1, **kwargs: Any) -> dict[str, Any]:
    """Run N more tasks at once."""
    return _resize(state, _count(n), "pool will grow")


@control_command(args=[("n", int)], signature="[N=1]")
def pool_shrink(state: ControlState, n: int = 1, **kwargs: Any) -> dict[str, Any]:
    """Run N fewer tasks at once; what runs is finished."""
    return _resize(state, -_count(n), "pool will shrink")


def _count(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"expected a whole number of 1 or more, got {n!r}")
    return n


@control_command(args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(state: ControlState, max: int | None = None, min: int | None = None, **kwargs: Any) -> dict[str, Any]:
    """Change the bounds of a worker that was started with --autoscale."""
    autoscaler = state.worker.control.autoscaler
    if autoscaler is None:
        raise ValueError("Autoscale not enabled: start the worker with --autoscale=MAX,MIN")
    most, least = autoscaler.update(max, min)
    return ok(f"autoscale now max={most} min={least}")


@control_command()
def pool_restart(
    state: ControlState, modules: Sequence[str] | None = None, reload: bool = False, reloader: Any = None, **kwargs: Any
) -> dict[str, Any]:
    """Make the pool anew, after importing modules (again); only with worker_pool_restarts."""
    if not state.app.conf.worker_pool_restarts:
        raise ValueError("Pool restarts not enabled: set worker_pool_restarts")
    for name in modules or (() if not reload else tuple(state.app.conf.imports) + tuple(state.app.conf.include)):
        if name not in sys.modules:
            importlib.import_module(name)
        elif reload:
            importlib.reload(sys.modules[name])
    state.worker.restart_pool()
    return ok("reload started")


# -- events and the end -----------------------------------------------------------------------------------------------


@control_command()
def enable_events(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Send events of tasks."""
    events = state.worker.control.events
    if events is None:
        return failed("event dispatcher unavailable")
    return ok("task events enabled" if events.enable_events() else "task events already enabled")


@control_command()
def disable_events(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Send no more events of tasks."""
    events = state.worker.control.events
    if events is None:
        return failed("event dispatcher unavailable")
    return ok("task events disabled" if events.disable_events() else "task events already disabled")


@control_command()
def heartbeat(state: ControlState, **kwargs: Any) -> None:
    """Send a heartbeat now."""
    state.worker.control.send_heartbeat()


@control_command()
def election(state: ControlState, id: str, topic: str, action: Any = None, **kwargs: Any) -> None:
    """Choose one of the workers, which then does an action."""
    state.worker.control.hold_election(id, topic, action)


@control_command()
def shutdown(state: ControlState, msg: str = "Got shutdown from remote", **kwargs: Any) -> None:
    """Finish what runs, and stop."""
    state.logger.warning("%s", msg)
    state.worker.shut_down()
