"""What a worker was asked to be: options of the command line or of the caller, else the application's settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from umbel.exceptions import ImproperlyConfigured
from umbel.model import Queue
from umbel.spi import PoolCapabilities, PoolOptions
from umbel.suggestions import suggest
from umbel.worker.naming import node_name

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["WorkerOptions", "check_pool", "choose_queues", "processors", "resolve"]


#: Seconds between two heartbeats, as in Celery.
HEARTBEAT_S: Final = 2.0


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """Everything decided. Times in seconds, memory in KiB; *prefetch_multiplier* 0 means no limit."""

    node: str
    pool: str
    concurrency: int
    autoscale: tuple[int, int] | None
    prefetch_multiplier: int
    time_limit_s: float | None
    soft_time_limit_s: float | None
    max_tasks_per_child: int | None
    max_memory_per_child_kib: int | None
    task_events: bool
    heartbeat_interval_s: float | None
    gossip: bool
    mingle: bool
    purge: bool
    shutdown_timeout_s: float | None
    soft_shutdown_timeout_s: float

    def pool_options(self, start_timeout_s: float, lost_wait_s: float) -> PoolOptions:
        """Return what the pool is made with."""
        return PoolOptions(
            concurrency=self.concurrency,
            max_tasks_per_child=self.max_tasks_per_child,
            max_memory_per_child_kib=self.max_memory_per_child_kib,
            start_timeout_s=start_timeout_s,
            lost_wait_s=lost_wait_s,
        )


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0)) or 1
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def resolve(
    app: Umbel,
    *,
    hostname: str | None = None,
    pool: str | None = None,
    concurrency: int | str | None = None,
    autoscale: str | tuple[int, int] | None = None,
    prefetch_multiplier: int | None = None,
    time_limit: float | None = None,
    soft_time_limit: float | None = None,
    max_tasks_per_child: int | None = None,
    max_memory_per_child: int | None = None,
    task_events: bool | None = None,
    heartbeat_interval: float | None = None,
    without_heartbeat: bool = False,
    without_gossip: bool = False,
    without_mingle: bool = False,
    purge: bool = False,
    shutdown_timeout_s: float | None = None,
) -> WorkerOptions:
    """Return the options given, completed from the settings of *app*.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` for a soft limit that is not below the hard one.
    """
    conf = app.conf
    hard = _first(time_limit, conf.task_time_limit)
    soft = _first(soft_time_limit, conf.task_soft_time_limit)
    if hard is not None and soft is not None and soft >= hard:
        raise ImproperlyConfigured(
            f"the soft time limit ({soft} s) must be below the hard one ({hard} s), or the task never hears of it"
        )
    pool = _first(pool, conf.worker_pool)
    bounds = _bounds(autoscale)
    processes = _concurrency(_first(concurrency, conf.worker_concurrency)) if bounds is None else bounds[1]
    return WorkerOptions(
        node=node_name(hostname),
        pool=str(pool),
        concurrency=1 if pool == "solo" else processes,
        autoscale=bounds,
        prefetch_multiplier=_first(prefetch_multiplier, conf.worker_prefetch_multiplier),
        time_limit_s=hard,
        soft_time_limit_s=soft,
        max_tasks_per_child=_first(max_tasks_per_child, conf.worker_max_tasks_per_child),
        max_memory_per_child_kib=_first(max_memory_per_child, conf.worker_max_memory_per_child),
        task_events=bool(_first(task_events, conf.worker_send_task_events)),
        heartbeat_interval_s=None if without_heartbeat else _interval(heartbeat_interval),
        gossip=not without_gossip,
        mingle=not without_mingle,
        purge=purge,
        shutdown_timeout_s=_first(shutdown_timeout_s, conf.worker_shutdown_timeout_s),
        soft_shutdown_timeout_s=conf.worker_soft_shutdown_timeout,
    )


def _first(given: Any, configured: Any) -> Any:
    return configured if given is None else given


def _interval(given: float | None) -> float:
    """Return the seconds between heartbeats, which Celery's ``--heartbeat-interval`` gives."""
    interval_s = HEARTBEAT_S if not given else float(given)
    if not interval_s > 0:
        raise ImproperlyConfigured(f"expected seconds above 0 between heartbeats, got {given!r}")
    return interval_s


def _concurrency(value: int | str | None) -> int:
    if value in (None, 0, "0", "auto"):
        return processors()
    try:
        number = int(value or 0)
    except ValueError:
        number = 0
    if number < 1:
        raise ImproperlyConfigured(f"concurrency: expected a whole number of 1 or more, or auto; got {value!r}")
    return number


def _bounds(given: str | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return (max, min) of ``--autoscale``; the pool never has fewer than one process."""
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else list(given)
    try:
        most, least = int(parts[0]), max(1, int(parts[1]) if len(parts) > 1 else 1)
    except (ValueError, TypeError):
        most = least = 0
    if len(parts) > 2 or not 1 <= least <= most:
        raise ImproperlyConfigured(f"autoscale: expected MAX,MIN such as 10,3, got {given!r}")
    return most, least


def check_pool(app: Umbel, options: WorkerOptions, capabilities: PoolCapabilities) -> None:
    """Refuse what the chosen pool cannot do, rather than to go without it.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` that names who asks, and a cure.
    """
    asked = {
        "hard_time_limit": ("a hard time limit", options.time_limit_s),
        "soft_time_limit": ("a soft time limit", options.soft_time_limit_s),
        "max_tasks_per_child": ("max_tasks_per_child", options.max_tasks_per_child),
        "max_memory_per_child": ("max_memory_per_child", options.max_memory_per_child_kib),
        "resize": ("autoscale", options.autoscale),
    }
    for capability, (what, value) in asked.items():
        if value is not None and not getattr(capabilities, capability):
            raise ImproperlyConfigured(
                f"the pool {options.pool!r} cannot keep {what} ({value} was asked for); "
                f"use the prefork pool (-P prefork), or leave it out"
            )
    for attribute, capability, what in (
        ("time_limit", "hard_time_limit", "a hard time limit"),
        ("soft_time_limit", "soft_time_limit", "a soft time limit"),
    ):
        names = sorted(task.name for task in app.tasks.values() if getattr(task, attribute) is not None)
        if names and not getattr(capabilities, capability):
            raise ImproperlyConfigured(
                f"the pool {options.pool!r} cannot keep {what}, which these tasks have: {', '.join(names[:5])}; "
                f"use the prefork pool (-P prefork), or remove {attribute} from them"
            )


def choose_queues(
    app: Umbel, node: str, queues: str | Iterable[str] | None, exclude: str | Iterable[str] | None
) -> Sequence[Queue]:
    """Apply ``-Q`` and ``-X`` to the application's queues and return what is to be consumed."""
    if queues:
        app.queues.select(queues)
    if exclude:
        unknown = [name for name in _names(exclude) if name not in app.queues]
        if unknown:
            raise ImproperlyConfigured(
                f"cannot exclude queue {unknown[0]!r}{suggest(unknown[0], app.queues)}; known are "
                f"{', '.join(sorted(app.queues)) or 'none'}"
            )
        app.queues.exclude(exclude)
    if app.conf.worker_direct:
        app.queues.select_add(f"{node}.dq2")
    chosen = list(app.queues.consume_from.values())
    if not chosen:
        raise ImproperlyConfigured("no queue is left to consume from; check -Q, -X and task_queues")
    return chosen


def _names(names: str | Iterable[str]) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)
