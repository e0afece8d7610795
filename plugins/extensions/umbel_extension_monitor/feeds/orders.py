"""What the user tells workers to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.exceptions import UmbelError

__all__ = ["Orders", "Said", "rate_problem"]

_ANSWER_WITHIN_S: Final = 2.0
_RATE: Final = re.compile(r"\d+(\.\d+)?(/[smh])?", re.ASCII)


@attrs.frozen
class Said:
    """What came of an order. *severity* is ``information``, ``warning`` or ``error``."""

    text: str
    severity: str = "information"


def rate_problem(text: str) -> str | None:
    """Return what is wrong with a rate limit, or ``None``."""
    if _RATE.fullmatch(text.strip()):
        return None
    return "expected a number a second, or with /s, /m or /h: 10, 100/m, 5/h; 0 lifts the limit"


class Orders:
    """Each order blocks until the workers have answered, two seconds at most, and raises nothing. Thread-safe."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def revoke(self, task_id: str) -> Said:
        """See to it that a task does not run."""
        return self._tell("revoked", lambda control, how: control.revoke(task_id, **how), "the broker keeps it in mind")

    def terminate(self, task_id: str) -> Said:
        """Stop a task where it runs."""
        return self._tell("told to stop it", lambda control, how: control.revoke(task_id, terminate=True, **how))

    def rate_limit(self, name: str, rate: str) -> Said:
        """Limit how often each worker starts tasks of *name*."""
        return self._tell(
            f"{name}: {'no limit' if rate == '0' else rate}", lambda control, how: control.rate_limit(name, rate, **how)
        )

    def enable_events(self, nodes: Sequence[str] | None = None) -> Said:
        """Let workers tell of tasks."""
        return self._tell("workers tell of tasks", lambda control, how: control.enable_events(destination=nodes, **how))

    def disable_events(self) -> Said:
        """Let workers tell nothing of tasks any more."""
        return self._tell("workers tell of tasks no more", lambda control, how: control.disable_events(**how))

    def resize_pool(self, node: str, by: int) -> Said:
        """Let a worker run more, or fewer, tasks at once."""
        if by > 0:
            return self._tell("pool grown", lambda control, how: control.pool_grow(by, destination=[node], **how))
        return self._tell("pool shrunk", lambda control, how: control.pool_shrink(-by, destination=[node], **how))

    def shutdown(self, node: str) -> Said:
        """Let a worker finish what it runs, and end."""
        try:
            self._app.control.shutdown(destination=[node])
        except (UmbelError, OSError) as error:
            return Said(str(error), "error")
        return Said(f"{node} was told to finish what it runs, and end")

    def ask(self, node: str) -> Mapping[str, Any]:
        """Return what a worker answers to ``stats``, ``active_queues`` and ``active``, each where it does."""
        found: dict[str, Any] = {}
        inspect = self._app.control.inspect(destination=node, timeout=_ANSWER_WITHIN_S)
        for question in ("stats", "active_queues", "active"):
            try:
                answer = getattr(inspect, question)()
            except (UmbelError, OSError) as error:
                return {**found, "error": str(error)}
            if answer is not None and not (isinstance(answer, Mapping) and set(answer) == {"error"}):
                found[question] = answer
        return found

    def _tell(self, done: str, send: Callable[[Any, dict[str, Any]], Any], unheard: str = "") -> Said:
        try:
            replies = send(self._app.control, {"reply": True, "timeout": _ANSWER_WITHIN_S}) or []
        except (UmbelError, OSError, ValueError) as error:
            return Said(str(error), "error")
        answers = {str(node): answer for reply in replies for node, answer in reply.items()}
        refusals = {
            node: answer["error"]
            for node, answer in answers.items()
            if isinstance(answer, Mapping) and "error" in answer
        }
        if not answers:
            return Said(f"{done}: no worker has answered{'; ' + unheard if unheard else ''}", "warning")
        if refusals:
            node, why = next(iter(refusals.items()))
            more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
            return Said(f"{node}: {why}{more}", "error" if len(refusals) == len(answers) else "warning")
        return Said(f"{done} ({len(answers)} worker{'s' * (len(answers) != 1)})")
