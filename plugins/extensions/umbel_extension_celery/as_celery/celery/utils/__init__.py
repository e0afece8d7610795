"""Small things that programs import from here."""

from __future__ import annotations

from functools import cached_property

from umbel.log import LEVELS as LOG_LEVELS
from umbel_extension_celery.functional import chunks, memoize, noop
from umbel_extension_celery.names import gen_task_name, nodename, nodesplit, uuid, worker_direct
from umbel_extension_celery.symbols import instantiate
from umbel_extension_celery.symbols import qualname as get_full_cls_name
from umbel_extension_celery.symbols import symbol_by_name as get_cls_by_name

gen_unique_id = uuid

__all__ = [
    "LOG_LEVELS",
    "cached_property",
    "chunks",
    "gen_task_name",
    "gen_unique_id",
    "get_cls_by_name",
    "get_full_cls_name",
    "instantiate",
    "memoize",
    "nodename",
    "nodesplit",
    "noop",
    "uuid",
    "worker_direct",
]
