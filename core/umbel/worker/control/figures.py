"""What a worker says of itself in figures: ``stats``, its queues, its memory."""

from __future__ import annotations

import gc
import os
import resource
import time
import types
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from umbel.model import Exchange, Queue

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["broker", "memory_bytes", "memory_text", "queue_fields", "resources", "stats", "who_holds"]

_RUSAGE = ("utime", "stime", "maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock")
_RUSAGE_MORE = ("msgsnd", "msgrcv", "nsignals", "nvcsw", "nivcsw")


def stats(worker: Worker) -> dict[str, Any]:
    """Return Celery's shape, and what Umbel has beside it; the broker's password is in none of it [B1167]."""
    options = worker.options
    figures = worker.stats()
    pool = dict(figures.pop("pool", {}))
    pool.setdefault("processes", [])
    pool.setdefault("max-tasks-per-child", options.max_tasks_per_child or "N/A")
    pool["put-guarded-by-semaphore"] = False
    pool["timeouts"] = [options.soft_time_limit_s or 0, options.time_limit_s or 0]
    pool["writes"] = _writes(pool)
    return {
        "total": figures.pop("total"),
        "pid": os.getpid(),
        "clock": str(worker.app.clock.value),
        "uptime": figures.pop("uptime"),
        "pool": pool,
        "broker": broker(worker),
        "prefetch_count": options.prefetch_multiplier * worker.concurrency,
        "rusage": resources(),
        **figures,
    }


def _writes(pool: dict[str, Any]) -> dict[str, Any]:
    done = {str(pid): count for pid, count in (pool.get("done") or {}).items()}
    total = sum(done.values())
    shares = {pid: f"{count / total:.2%}" if total else "0%" for pid, count in done.items()}
    return {"total": total, "raw": done, "all": ", ".join(shares.values()), "avg": f"{1 / max(1, len(done)):.2%}"}


def broker(worker: Worker) -> dict[str, Any]:
    """Return where the broker is; no password."""
    app = worker.app
    url = app.connections.broker_read_urls[0].partition(";")[0]
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return {
        "hostname": parts.hostname,
        "userid": None if parts.username is None else unquote(parts.username),
        "virtual_host": unquote(parts.path[1:]) or "/",
        "port": port,
        "insist": False,
        "ssl": bool(app.conf.broker_use_ssl) or parts.scheme.endswith("s"),
        "transport": parts.scheme,
        "connect_timeout": app.conf.broker_connection_timeout,
        "transport_options": {},
        "login_method": app.conf.broker_login_method,
        "uri_prefix": None,
        "heartbeat": app.conf.broker_heartbeat,
    }


def resources() -> dict[str, Any]:
    """Return the resource usage of the worker's own process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {name: getattr(usage, f"ru_{name}") for name in (*_RUSAGE, *_RUSAGE_MORE)}


def queue_fields(queue: Queue) -> dict[str, Any]:
    """Return *queue* in the fields of a kombu queue."""
    return {
        "name": queue.name,
        "exchange": _exchange_fields(queue.exchange),
        "routing_key": queue.routing_key,
        "queue_arguments": dict(queue.queue_arguments) or None,
        "binding_arguments": dict(queue.binding_arguments) or None,
        "consumer_arguments": dict(queue.consumer_arguments) or None,
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "auto_delete": queue.auto_delete,
        "no_ack": queue.no_ack,
        "alias": queue.alias,
        "bindings": [{"exchange": _exchange_fields(exchange), "routing_key": key} for exchange, key in queue.bindings],
        "no_declare": None,
        "expires": queue.expires_s,
        "message_ttl": queue.message_ttl_s,
        "max_length": queue.max_length,
        "max_length_bytes": None,
        "max_priority": queue.max_priority,
    }


def _exchange_fields(exchange: Exchange) -> dict[str, Any]:
    return {
        "name": exchange.name,
        "type": exchange.kind,
        "arguments": dict(exchange.arguments) or None,
        "durable": exchange.durable,
        "passive": False,
        "auto_delete": exchange.auto_delete,
        "delivery_mode": exchange.delivery_mode,
        "no_declare": False,
    }


# -- memory -----------------------------------------------------------------------------------------------------------


def memory_bytes() -> int:
    """Return how much memory the worker's process holds (RSS)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # not on every system: then the most that it ever held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_text(count: int | None = None) -> str:
    """Return *count* bytes (those of the process now) as people read them."""
    number = float(memory_bytes() if count is None else count)
    for unit in ("B", "KB", "MB"):
        if number < 1024:
            return f"{number:.3f}{unit}"
        number /= 1024
    return f"{number:.3f}GB"


def who_holds(type_name: str, most: int, max_depth: int) -> dict[str, Any]:
    """Return how many objects of a type there are, and through what they are held; no library is needed for it."""
    gc.collect()
    everything = gc.get_objects()
    kinds = Counter(type(each).__name__ for each in everything)
    found = [each for each in everything if type(each).__name__ == type_name][: max(0, most)]
    chains = Counter(" <- ".join(_holders(each, max_depth)) for each in found[:50])
    return {
        "type": type_name,
        "count": kinds[type_name],
        "held_by": dict(chains.most_common(10)),
        "most_common": dict(kinds.most_common(20)),
        "taken_at": time.time(),
    }


def _holders(thing: Any, depth: int) -> Iterator[str]:
    """Yield the types along one chain of referrers, frames of this look left out."""
    yield type(thing).__name__
    seen = {id(thing)}
    for _ in range(max(0, depth)):
        holders = [
            holder
            for holder in gc.get_referrers(thing)
            if id(holder) not in seen and not isinstance(holder, types.FrameType | types.GeneratorType)
        ]
        if not holders:
            return
        thing = holders[0]
        seen.add(id(thing))
        yield type(thing).__name__
