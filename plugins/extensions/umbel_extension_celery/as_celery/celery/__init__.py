"""Celery's names, and Umbel behind them: what ``import celery`` gives after ``umbel.install_as_celery()``.

Modules and names are those of Celery 5.7. What Umbel does not have raises an error that says so where it is used.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final, NamedTuple

from umbel_extension_celery.missing import MissingModules

SERIES: Final = "umbel"
#: The release whose public names these are: packages choose by it what they may use.
__version__ = "5.7.0"
__author__ = "The Umbel contributors"
__contact__ = ""
__homepage__ = ""
__docformat__ = "restructuredtext"
VERSION_BANNER = f"{__version__} ({SERIES})"


class version_info_t(NamedTuple):
    """A release, as Celery tells it."""

    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: str


_major, _minor, _micro = (int(part) for part in __version__.split("."))
VERSION = version_info = version_info_t(_major, _minor, _micro, "", "")

#: Where each name of the package is; looked up at its first use, so that importing celery stays cheap.
_HOMES: Final = {
    "Celery": "app",
    "Signature": "canvas",
    "Task": "app.task",
    "bugreport": "app",
    "chain": "canvas",
    "chord": "canvas",
    "chunks": "canvas",
    "current_app": "_state",
    "current_task": "_state",
    "group": "canvas",
    "maybe_signature": "canvas",
    "shared_task": "app",
    "signature": "canvas",
    "subtask": "canvas",
    "uuid": "utils",
    "xmap": "canvas",
    "xstarmap": "canvas",
}

__all__ = [*_HOMES]

if MissingModules not in sys.meta_path:
    sys.meta_path.append(MissingModules)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


def maybe_patch_concurrency(*_: Any, **__: Any) -> None:
    """Patch nothing: Umbel has no pool that needs it."""
