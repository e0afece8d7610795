"""Whether a worker does its work, and if not, why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from umbel.worker.steps import StepState

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["SILENCE_S", "what_is_wrong"]

#: The intake looks at the broker, and renews its lease, about every second. Later than this, it is stuck.
SILENCE_S: Final = 5.0


def what_is_wrong(worker: Worker) -> list[str]:
    """Return the reasons why *worker* is not ready; none when it is. Costs next to nothing; any thread."""
    if worker.failure is not None:
        return [f"the worker cannot go on: {worker.failure}"]
    if worker.graph.state is not StepState.RUNNING:
        return [f"the worker is {worker.graph.state.name.lower()}"]
    reasons: list[str] = []
    intake = worker.intake
    silence_s = time.monotonic() - intake.last_poll
    if not intake.is_connected:
        reasons.append("not connected to the broker")
    elif silence_s > SILENCE_S:
        reasons.append(f"the broker was asked for messages, and the lease renewed, {silence_s:.0f} s ago")
    if worker.outflow.trouble is not None:
        reasons.append(f"results and acknowledgements cannot be committed: {worker.outflow.trouble}")
    return reasons
