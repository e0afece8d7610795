"""The states of a task."""

from __future__ import annotations

from umbel.states import *
from umbel.states import __all__ as _names
from umbel_extension_celery.result_types import state

__all__ = [*_names, "state"]
