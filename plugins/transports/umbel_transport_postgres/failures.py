"""What the driver's errors are called by the kernel."""

from __future__ import annotations

import psycopg

from umbel.exceptions import OperationalError, TransportError
from umbel_library_postgres import explain

__all__ = ["failure"]


def failure(error: psycopg.Error, masked: str) -> Exception:
    """Return what to raise for the driver's *error*: a value that the server refuses is no outage."""
    text = explain(error, masked)
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return TransportError(text)
    return OperationalError(text)
