"""Objects by their names."""

from __future__ import annotations

from umbel_extension_celery.names import gen_task_name
from umbel_extension_celery.symbols import instantiate, qualname, symbol_by_name

__all__ = [
    "gen_task_name",
    "instantiate",
    "qualname",
    "symbol_by_name",
]
