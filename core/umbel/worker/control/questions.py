"""Commands that ask what a worker is and does, and change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from umbel.bugreport import report_text
from umbel.control.revoking import as_ids
from umbel.registry import BUILTIN_PREFIXES
from umbel.worker.control import figures, requests
from umbel.worker.control.answers import ok, plain
from umbel.worker.control.panel import ControlState, inspect_command

__all__ = [
    "active",
    "active_queues",
    "clock",
    "conf",
    "hello",
    "memdump",
    "memsample",
    "objgraph",
    "ping",
    "query_task",
    "registered",
    "report",
    "reserved",
    "revoked",
    "scheduled",
    "stats",
]

_TASK_ITEMS = ("exchange", "routing_key", "rate_limit")


def _flag(text: str) -> bool:
    word = text.lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"expected yes or no, got {text!r}")


# -- tasks ------------------------------------------------------------------------------------------------------------


@inspect_command(alias="dump_active")
def active(state: ControlState, safe: bool = False, **kwargs: Any) -> list[dict[str, Any]]:
    """List the tasks that run."""
    return requests.active(state.worker, safe=bool(safe))


@inspect_command(alias="dump_reserved")
def reserved(state: ControlState, **kwargs: Any) -> list[dict[str, Any]]:
    """List the tasks that were fetched and have not started."""
    return requests.reserved(state.worker)


@inspect_command(alias="dump_schedule")
def scheduled(state: ControlState, **kwargs: Any) -> list[dict[str, Any]]:
    """List the tasks that are held until they are due."""
    return requests.scheduled(state.worker)


@inspect_command(alias="dump_revoked")
def revoked(state: ControlState, **kwargs: Any) -> list[str]:
    """List the ids of revoked tasks."""
    return state.worker.control.revoked.ids()


@inspect_command(variadic="ids", signature="[id1 [id2 [... [idN]]]]")
def query_task(state: ControlState, ids: Any, **kwargs: Any) -> dict[str, Any]:
    """Show tasks by id, where they are."""
    return requests.find(state.worker, as_ids(ids))


@inspect_command(alias="dump_tasks", variadic="taskinfoitems", signature="[attr1 [attr2 [... [attrN]]]]")
def registered(
    state: ControlState, taskinfoitems: Iterable[str] | None = None, builtins: bool = False, **kwargs: Any
) -> list[str]:
    """List the tasks that are known, with attributes of theirs."""
    wanted = [item for item in taskinfoitems or _TASK_ITEMS if isinstance(item, str) and not item.startswith("_")]
    tasks = state.app.tasks
    return [
        _described(tasks[name], wanted) for name in sorted(tasks) if builtins or not name.startswith(BUILTIN_PREFIXES)
    ]


def _described(task: Any, items: Iterable[str]) -> str:
    found = [(item, getattr(task, item, None)) for item in items]
    told = " ".join(f"{item}={value}" for item, value in found if value is not None)
    return f"{task.name} [{told}]" if told else str(task.name)


# -- the worker -------------------------------------------------------------------------------------------------------


@inspect_command(default_timeout=0.2)
def ping(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Ask who is there."""
    return ok("pong")


@inspect_command()
def clock(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Show the logical clock."""
    return {"clock": state.app.clock.value}


@inspect_command()
def stats(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Show figures of the worker: totals, pool, broker, resources."""
    return figures.stats(state.worker)


@inspect_command()
def active_queues(state: ControlState, **kwargs: Any) -> list[dict[str, Any]]:
    """List the queues that are consumed."""
    return [figures.queue_fields(queue) for queue in list(state.worker.intake.queues.values())]


@inspect_command(alias="dump_conf", args=[("with_defaults", _flag)], signature="[include_defaults=False]")
def conf(state: ControlState, with_defaults: bool = False, **kwargs: Any) -> Any:
    """Show the settings that were changed, or all; secrets are masked."""
    return plain(state.app.conf.table(bool(with_defaults)))


@inspect_command()
def report(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Show software and settings for a bug report."""
    return ok(report_text(state.app))


@inspect_command(visible=False)
def hello(state: ControlState, from_node: str, revoked: Any = None, **kwargs: Any) -> dict[str, Any] | None:
    """Greet a worker that starts, and exchange what is revoked."""
    if from_node == state.hostname:
        return None
    state.logger.debug("sync with %s", from_node)
    control = state.worker.control
    if isinstance(revoked, list | dict):
        control.merge([task_id for task_id in revoked if isinstance(task_id, str)])
    return {"revoked": control.revoked.ids(), "clock": state.app.clock.forward()}


# -- debugging --------------------------------------------------------------------------------------------------------


@inspect_command()
def memsample(state: ControlState, **kwargs: Any) -> str:
    """Show how much memory the worker's process holds."""
    return figures.memory_text(state.worker.control.sample_memory())


@inspect_command(args=[("samples", int)], signature="[n_samples=10]")
def memdump(state: ControlState, samples: int = 10, **kwargs: Any) -> str:
    """Show the samples that memsample has taken."""
    taken = list(state.worker.control.memory_samples)
    step = max(1, len(taken) // max(1, int(samples)))
    lines = [f"- rss (sample {number}): {figures.memory_text(count)}" for number, count in [*enumerate(taken)][::step]]
    return "\n".join([*lines, f"- rss (end): {figures.memory_text()}."])


@inspect_command(
    default_timeout=60.0,
    args=[("type", str), ("num", int), ("max_depth", int)],
    signature="[object_type=Held] [num=200 [max_depth=10]]",
)
def objgraph(state: ControlState, num: int = 200, max_depth: int = 10, type: str = "Held", **kwargs: Any) -> Any:
    """Show how many objects of a type there are, and what holds them."""
    return figures.who_holds(type, int(num), int(max_depth))
