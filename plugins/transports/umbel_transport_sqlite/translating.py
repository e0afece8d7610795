"""Turns the driver's errors into the kernel's, with a sentence of what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from umbel.exceptions import OperationalError
from umbel.sqlite_file import SqliteFile, explain

__all__ = ["translated"]


@contextlib.contextmanager
def translated(file: SqliteFile) -> Iterator[None]:
    """Raise :class:`~umbel.exceptions.OperationalError` for whatever SQLite raises inside."""
    try:
        yield
    except sqlite3.Error as error:
        raise OperationalError(explain(error, file.path)) from error
