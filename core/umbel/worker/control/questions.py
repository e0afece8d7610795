"""Commands that ask what a worker is and does, and change nothing."""

from __future__ import annotations

from typing import Any

from umbel.worker.control.answers import ok
from umbel.worker.control.panel import ControlState, inspect_command

__all__ = ["clock", "hello", "ping", "revoked"]


@inspect_command(default_timeout=0.2)
def ping(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Ask who is there."""
    return ok("pong")


@inspect_command()
def clock(state: ControlState, **kwargs: Any) -> dict[str, Any]:
    """Show the logical clock."""
    return {"clock": state.app.clock.value}


@inspect_command(alias="dump_revoked")
def revoked(state: ControlState, **kwargs: Any) -> list[str]:
    """List the ids of revoked tasks."""
    return state.worker.control.revoked.ids()


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
