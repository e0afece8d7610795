"""Putting the package ``celery`` of this extension in the place of Celery's."""

from __future__ import annotations

import os
import sys
from typing import Final

from umbel.exceptions import ImproperlyConfigured

__all__ = ["FOLDER", "install", "is_installed"]

#: What stands on the import path: a package ``celery``, and the metadata of a distribution of that name.
FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "as_celery")


def install() -> None:
    """Let ``import celery`` mean Umbel in this process, and in the Python processes that it starts.

    Calling it again does nothing. Raises :class:`~umbel.exceptions.ImproperlyConfigured` when another ``celery`` was
    imported before.
    """
    loaded = sys.modules.get("celery")
    if loaded is not None and not is_installed():
        place = getattr(loaded, "__file__", "an unknown place")
        raise ImproperlyConfigured(
            f"expected to come before every 'import celery', but {place} was imported already; call "
            f"umbel.install_as_celery() at the top of the program, before anything that imports celery"
        )
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    inherited = os.environ.get("PYTHONPATH", "")
    if FOLDER not in inherited.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, inherited]))


def is_installed() -> bool:
    """Say whether the ``celery`` that was imported is the one of this extension."""
    loaded = sys.modules.get("celery")
    return loaded is not None and (getattr(loaded, "__file__", None) or "").startswith(FOLDER + os.sep)
