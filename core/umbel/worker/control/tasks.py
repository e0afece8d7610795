"""Commands about tasks: revoke, terminate, limits."""

from __future__ import annotations

import signal as signals
from collections.abc import Iterable, Sequence
from typing import Any

from umbel.control.revoking import as_ids, as_stamps, by_ids, by_stamps
from umbel.spi import Revocation
from umbel.suggestions import suggest
from umbel.worker.control.answers import failed, ok
from umbel.worker.control.panel import ControlState, control_command
from umbel.worker.control.rates import parse_rate
from umbel.worker.held import Held

__all__ = ["rate_limit", "revoke", "revoke_by_stamped_headers", "terminate", "time_limit"]


@control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(
    state: ControlState, task_id: Any, terminate: bool = False, signal: str | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Revoke tasks by id: they are not run where they wait; with terminate they are stopped where they run."""
    ids = as_ids(task_id)
    problem = _problem(state, terminate, signal)
    if problem is not None:
        return problem
    _note(state, by_ids(ids))
    state.logger.info("Tasks flagged as revoked: %s", ", ".join(ids))
    if not terminate:
        return ok(f"tasks {set(ids)} flagged as revoked")
    wanted = set(ids)
    ended = _terminate(state, lambda held: held.task_id in wanted, signal)
    return ok(f"terminate: {', '.join(ended)}" if ended else "terminate: tasks unknown")


@control_command(name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [... [idN]]]")
def terminate(state: ControlState, signal: str, task_id: Any, **kwargs: Any) -> dict[str, Any]:
    """Revoke tasks by id, and stop them where they run, with a signal such as SIGKILL."""
    return revoke(state, task_id, terminate=True, signal=signal)


@control_command(variadic="headers", signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]")
def revoke_by_stamped_headers(
    state: ControlState, headers: Any, terminate: bool = False, signal: str | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Revoke tasks by their stamped headers, given as key=value."""
    stamps = as_stamps(_split(headers) if isinstance(headers, list | tuple) else headers)
    problem = _problem(state, terminate, signal)
    if problem is not None:
        return problem
    _note(state, by_stamps(stamps))
    if not terminate:
        return ok(f"headers {stamps} flagged as revoked, but not terminated")
    ended = _terminate(state, state.worker.control.revoked.includes, signal)
    return ok(f"headers {stamps} revoked" if ended else f"headers {stamps} were not terminated")


@control_command(
    args=[("task_name", str), ("rate_limit", str)], signature="<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>"
)
def rate_limit(state: ControlState, task_name: str, rate_limit: Any, **kwargs: Any) -> dict[str, Any]:
    """Let this worker start at most so many calls of a task; 0 lifts the limit."""
    try:
        rate = parse_rate(rate_limit)
    except ValueError as error:
        return failed(f"Invalid rate limit string: {error}")
    task = state.app.tasks.get(task_name)
    if task is None:
        return _unknown_task(state, task_name)
    if state.app.conf.worker_disable_rate_limits:
        return failed("rate limits are switched off here (worker_disable_rate_limits)")
    task.rate_limit = rate_limit
    state.worker.control.rates.read()
    state.logger.info("New rate limit for tasks of type %s: %s.", task_name, rate_limit)
    return ok("new rate limit set successfully" if rate else "rate limit disabled successfully")


@control_command(
    args=[("task_name", str), ("soft", float), ("hard", float)], signature="<task_name> <soft_secs> [hard_secs]"
)
def time_limit(
    state: ControlState, task_name: str, hard: float | None = None, soft: float | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Change a task's time limits, for calls that start from now on."""
    task = state.app.tasks.get(task_name)
    if task is None:
        return _unknown_task(state, task_name)
    can = state.worker.pool.capabilities
    for name, value, possible in (("hard", hard, can.hard_time_limit), ("soft", soft, can.soft_time_limit)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            return failed(f"expected the {name} limit to be seconds above 0, got {value!r}")
        if value is not None and not possible:
            return failed(f"the pool {state.worker.options.pool!r} cannot keep a {name} time limit; use prefork")
    if hard is not None and soft is not None and soft >= hard:
        return failed(f"the soft limit ({soft} s) must be below the hard one ({hard} s)")
    task.soft_time_limit, task.time_limit = soft, hard
    state.worker.admission.forget_orders()
    state.logger.info("New time limits for tasks of type %s: soft=%s hard=%s", task_name, soft, hard)
    return ok("time limits set successfully")


def _unknown_task(state: ControlState, name: str) -> dict[str, str]:
    return failed(f"unknown task{suggest(name, state.app.tasks)}")


def _split(pairs: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = str(pair).partition("=")
        if not (key and equals):
            raise ValueError(f"expected stamps as key=value, got {pair!r}")
        found.setdefault(key, []).append(value)
    return found


def _note(state: ControlState, revocations: Sequence[Revocation]) -> None:
    request = state.request
    # For one node alone it is no truth for all; and what the caller has written need not be written again.
    is_for_all = request is None or (not request.is_stored and not request.destination and request.pattern is None)
    state.worker.control.revoked.add(revocations, write=is_for_all)


def _problem(state: ControlState, terminate: bool, signal: str | None) -> dict[str, str] | None:
    """Return why running tasks cannot be stopped as asked, before anything is done."""
    if not terminate:
        return None
    name = _signal_name(signal)
    if name not in signals.Signals.__members__:
        return failed(f"expected the name of a signal, got {signal!r}{suggest(name, signals.Signals.__members__)}")
    return None


def _signal_name(signal: str | None) -> str:
    name = str(signal or "SIGTERM").upper()
    return name if name.startswith("SIG") else f"SIG{name}"


def _terminate(state: ControlState, is_meant: Any, signal: str | None) -> list[str]:
    """Stop the running tasks that are meant; return their ids."""
    worker = state.worker
    meant: list[tuple[int, Held]] = [(job_id, held) for job_id, held in worker.jobs.items() if is_meant(held)]
    if meant and not worker.pool.capabilities.terminate:
        raise NotImplementedError(
            f"the pool {worker.options.pool!r} cannot stop a task that runs (it is revoked, should it come again); "
            "use the prefork pool"
        )
    name = _signal_name(signal)
    ended = []
    for job_id, held in meant:
        if worker.pool.terminate(job_id, name):
            state.logger.info("Terminating %s (%s)", held.task_id, name)
            ended.append(held.task_id)
    return ended
