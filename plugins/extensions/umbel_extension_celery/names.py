"""Names of nodes, tasks and ids."""

from __future__ import annotations

import os
import socket
from typing import Any

from umbel.calling.ids import new_id
from umbel.model import Exchange, Queue
from umbel.task_naming import task_name
from umbel.worker.naming import DEFAULT_NAME, expand, node_name, split_node

__all__ = [
    "anon_nodename",
    "default_nodename",
    "gen_task_name",
    "gethostname",
    "host_format",
    "node_format",
    "nodename",
    "nodesplit",
    "uuid",
    "worker_direct",
]

gethostname = socket.gethostname


def uuid() -> str:
    """Return a new id."""
    return new_id()


def nodename(name: str, hostname: str) -> str:
    """Return ``name@hostname``."""
    return f"{name}@{hostname}"


def nodesplit(name: str) -> tuple[str | None, str]:
    """Split ``name@hostname``; without ``@`` all of it is the host."""
    first, host = split_node(name)
    return first or None, host


def anon_nodename(hostname: str | None = None, prefix: str = "gen") -> str:
    """Return the name of a process that is no worker."""
    return nodename(f"{prefix}{os.getpid()}", hostname or gethostname())


def default_nodename(hostname: str | None) -> str:
    """Return the full name of a node of which a part, or nothing, was given."""
    name, host = nodesplit(hostname or "")
    return nodename(name or DEFAULT_NAME, host or gethostname())


def node_format(s: str, name: str, **extra: Any) -> str:
    """Expand ``%n``, ``%h``, ``%d``, ``%i`` and ``%I`` in *s* for the node *name*."""
    return expand(s, name)


def host_format(s: str, host: str | None = None, name: str | None = None, **extra: Any) -> str:
    """Expand ``%h``, ``%n`` and ``%d`` in *s* for this host."""
    return node_name(s) if "@" in s else expand(s, nodename(name or DEFAULT_NAME, host or gethostname()))


def worker_direct(hostname: str | Queue) -> Queue:
    """Return the queue that only the worker *hostname* consumes (``worker_direct``)."""
    if isinstance(hostname, Queue):
        return hostname
    return Queue(name=f"{hostname}.dq2", exchange=Exchange(name="C.dq2"), routing_key=hostname, auto_delete=True)


def gen_task_name(app: Any, name: str, module_name: str | None) -> str:
    """Return the automatic name of a task."""
    return task_name(name, module_name, app.main)
