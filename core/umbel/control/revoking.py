"""What the caller does to revoke: the store is told before the workers are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.exceptions import OperationalError
from umbel.spi import Revocation, RevocationStore, Transport

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["as_ids", "as_stamps", "by_ids", "by_stamps", "remember"]


def as_ids(task_id: Any) -> list[str]:
    """Return *task_id* (an id, a result, or several of them) as ids. Raises ``TypeError`` for what is neither."""
    if isinstance(task_id, str):
        return [task_id]
    own = getattr(task_id, "id", None)
    if isinstance(own, str):
        return [own]
    if isinstance(task_id, Iterable) and not isinstance(task_id, Mapping | bytes):
        return [found for each in task_id for found in as_ids(each)]
    raise TypeError(f"expected the id of a task or a list of ids, got {task_id!r}")


def as_stamps(headers: Any) -> dict[str, list[Any]]:
    """Return *headers*, ``{name: value or values}``, with lists as values. Raises ``TypeError`` for anything else."""
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise TypeError(f"expected headers to be {{name of a stamp: value or list of values}}, got {headers!r}")
    return {
        name: list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        for name, value in headers.items()
    }


def by_ids(ids: Iterable[str]) -> list[Revocation]:
    """Return the revocations of tasks by their ids."""
    return [Revocation(task_id) for task_id in ids]


def by_stamps(stamps: Mapping[str, Iterable[Any]]) -> list[Revocation]:
    """Return the revocations of all tasks with one of *stamps*."""
    return [Revocation(str(value), name) for name, values in stamps.items() for value in values]


def remember(app: Umbel, revocations: Sequence[Revocation], connection: Transport | None = None) -> bool:
    """Write *revocations* into the broker's store; say whether it can hold them. Raises ``OperationalError``."""
    expires_s = float(app.conf.control_revoked_expires)
    if connection is not None:
        return _keep(connection, revocations, expires_s)
    pool = app.connections.transports
    bound_s = float(app.conf.broker_connection_timeout)
    with contextlib.suppress(OperationalError, OSError):  # a connection of the pool may have died of age
        return _keep_pooled(pool, revocations, expires_s, bound_s)
    return _keep_pooled(pool, revocations, expires_s, bound_s)


def _keep_pooled(pool: Any, revocations: Sequence[Revocation], expires_s: float, bound_s: float) -> bool:
    transport = pool.acquire(time.monotonic() + bound_s)
    try:
        kept = _keep(transport, revocations, expires_s)
    except BaseException:
        pool.discard(transport)
        raise
    pool.release(transport)
    return kept


def _keep(transport: Transport, revocations: Sequence[Revocation], expires_s: float) -> bool:
    if not isinstance(transport, RevocationStore):
        return False
    if revocations:
        transport.revoke(revocations, expires_s)
    return True
