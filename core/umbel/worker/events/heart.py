"""What a worker says of itself with each heartbeat."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel import signals

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["SOFTWARE", "heartbeat"]

#: The name by which monitors know the software; Celery's is ``py-celery``.
SOFTWARE: Final = "py-umbel"


def heartbeat(worker: Worker, interval_s: float) -> Mapping[str, Any]:
    """Return the fields of a heartbeat, and tell ``heartbeat_sent``. *interval_s*: the time to the next one."""
    from umbel import __version__  # the package's own attribute, which is there when the package is imported

    if signals.heartbeat_sent.receivers:
        signals.heartbeat_sent.send_robust(sender=worker)
    return {
        "freq": interval_s,
        "active": min(worker.jobs.size(), worker.options.concurrency),
        "processed": sum(worker.translator.totals.copy().values()),
        "loadavg": [round(load, 2) for load in os.getloadavg()],
        "sw_ident": SOFTWARE,
        "sw_ver": __version__,
        "sw_sys": platform.system(),
        "instance": worker.instance,
    }
