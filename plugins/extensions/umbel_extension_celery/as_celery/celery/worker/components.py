"""The parts of a worker, as steps require them."""

from __future__ import annotations

from umbel_extension_celery.steps import Beat, Consumer, Hub, Pool, StateDB, Timer

__all__ = [
    "Beat",
    "Consumer",
    "Hub",
    "Pool",
    "StateDB",
    "Timer",
]
