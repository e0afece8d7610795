"""``app.control``: commands to workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from umbel.control.inspection import Inspect
from umbel.control.mailbox import Mailbox, names
from umbel.control.replies import Replies
from umbel.control.revoking import as_ids, as_stamps, by_ids, by_stamps, remember
from umbel.protocol.control import ControlRequest
from umbel.spi import Revocation, Transport

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Control"]

#: What is waited for at most when the caller sets no bound.
_LONGEST_S = 60.0
#: Options of a broadcast that are not arguments of the command.
_OPTIONS: Final = frozenset({"connection", "reply", "timeout", "limit", "callback"})

Destination = str | Sequence[str] | None


class Control:
    """Tells workers what to do, all of them or those in *destination*. Thread-safe.

    Every command takes the options of :meth:`broadcast`: with ``reply=True`` it returns what the workers answered,
    ``[{node: answer}, ...]``, else ``None`` as soon as the broker has the message. Raises
    :class:`~umbel.exceptions.OperationalError` when the broker is not reached.
    """

    def __init__(self, app: Umbel) -> None:
        self.app = app
        self.mailbox = Mailbox(app)

    @cached_property
    def inspect(self) -> type[Inspect]:
        """Asks workers what they do: ``app.control.inspect().active()``. A class bound to this application."""
        return type("Inspect", (Inspect,), {"app": self.app, "__doc__": Inspect.__doc__})

    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Destination = None,
        connection: Transport | None = None,
        reply: bool = False,
        timeout: float | None = 1.0,
        limit: int | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        channel: Any = None,
        pattern: str | None = None,
        matcher: str | None = None,
        **extra_kwargs: Any,
    ) -> Replies | None:
        """Send *command* with *arguments* (and *extra_kwargs*) to the workers; return their replies with ``reply=True``.

        Only nodes in *destination* obey, or those that fit *pattern* by *matcher* (``glob`` or ``pcre``). It returns as
        soon as every worker that lives (or was named) has answered, or *limit* have, at the latest after *timeout*
        seconds; who was expected and has not answered stands in ``replies.silent``. *callback* gets each reply as it
        comes. *connection* is an open transport; *channel* is taken for compatibility and not used. [B562]-[B566]
        """
        return self._send(
            ControlRequest(
                method=command,
                arguments={**(arguments or {}), **extra_kwargs},
                destination=names(destination),
                pattern=pattern if matcher else None,
                matcher=matcher if pattern else None,
            ),
            connection=connection,
            reply=reply,
            timeout=timeout,
            limit=limit,
            callback=callback,
        )

    def _send(
        self,
        request: ControlRequest,
        *,
        connection: Transport | None = None,
        reply: bool = False,
        timeout: float | None = 1.0,
        limit: int | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Replies | None:
        timeout_s = _LONGEST_S if timeout is None else float(timeout)
        if not reply:
            self.mailbox.cast(request, timeout_s, connection)
            return None
        return self.mailbox.call(request, timeout_s, limit=limit, callback=callback, connection=connection)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Destination = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **kwargs: Any,
    ) -> Replies | None:
        """See to it that a task, or each of a list, is not run; with *terminate* it is also stopped where it runs [A274].

        Where the broker's store can hold it, this is true on return also for workers that start later. *signal* is what
        its process is sent, by the name in Python's ``signal`` [A276] [B571].
        """
        ids = as_ids(task_id)
        arguments = {"task_id": ids if not isinstance(task_id, str) else task_id}
        return self._revoke("revoke", by_ids(ids), arguments, destination, terminate, signal, kwargs)

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        destination: Destination = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **kwargs: Any,
    ) -> Replies | None:
        """Revoke every task that is stamped with one of *headers*, ``{name: value or list of values}``."""
        stamps = as_stamps(headers)
        return self._revoke(
            "revoke_by_stamped_headers", by_stamps(stamps), {"headers": stamps}, destination, terminate, signal, kwargs
        )

    def _revoke(
        self,
        command: str,
        revocations: Sequence[Revocation],
        arguments: dict[str, Any],
        destination: Destination,
        terminate: bool,
        signal: str,
        kwargs: dict[str, Any],
    ) -> Replies | None:
        meant = names(destination)
        stored = meant is None and remember(self.app, revocations, kwargs.get("connection"))
        kwargs.pop("channel", None)
        pattern, matcher = kwargs.pop("pattern", None), kwargs.pop("matcher", None)
        more = {name: kwargs.pop(name) for name in kwargs.keys() - _OPTIONS}
        request = ControlRequest(
            method=command,
            arguments={**arguments, "terminate": terminate, "signal": signal, **more},
            destination=meant,
            pattern=pattern if matcher else None,
            matcher=matcher if pattern else None,
            is_stored=stored,
        )
        return self._send(request, **kwargs)

    def terminate(
        self, task_id: str | Iterable[str], destination: Destination = None, signal: str = "SIGTERM", **kwargs: Any
    ) -> Replies | None:
        """Revoke, and stop where it runs; the same as :meth:`revoke` with ``terminate=True`` [A277]."""
        return self.revoke(task_id, destination=destination, terminate=True, signal=signal, **kwargs)

    def rate_limit(
        self, task_name: str, rate_limit: int | str, destination: Destination = None, **kwargs: Any
    ) -> Replies | None:
        """Let each worker start at most so many calls of the task: ``10`` a second, ``"100/m"``, ``"5/h"``; 0: no limit."""
        arguments = {"task_name": task_name, "rate_limit": rate_limit}
        return self.broadcast("rate_limit", destination=destination, arguments=arguments, **kwargs)

    def time_limit(
        self,
        task_name: str,
        soft: float | None = None,
        hard: float | None = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Change the time limits, in seconds, of a task, for calls that start from now on [A262] [A263]."""
        arguments = {"task_name": task_name, "hard": hard, "soft": soft}
        return self.broadcast("time_limit", arguments=arguments, destination=destination, **kwargs)

    # -- queues -------------------------------------------------------------------------------------------------------

    def add_consumer(
        self,
        queue: str,
        exchange: str | None = None,
        exchange_type: str = "direct",
        routing_key: str | None = None,
        options: Mapping[str, Any] | None = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Have workers take messages from *queue* too. *options* are further fields of the queue."""
        arguments = {"queue": queue, "exchange": exchange, "exchange_type": exchange_type, "routing_key": routing_key}
        return self.broadcast(
            "add_consumer", destination=destination, arguments={**arguments, **(options or {})}, **kwargs
        )

    def cancel_consumer(self, queue: str, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers take no more messages from *queue*."""
        return self.broadcast("cancel_consumer", destination=destination, arguments={"queue": queue}, **kwargs)

    def purge(self, connection: Transport | None = None) -> int:
        """Drop what waits in all queues of the application; return how many messages that were [B567]."""
        queues = list(self.app.queues.consume_from.values())
        with contextlib.ExitStack() as stack:
            transport = connection
            if transport is None:
                transport = stack.enter_context(contextlib.closing(self.app.open_transport()))
            transport.declare(queues)
            return sum(transport.purge(queue.name) for queue in queues)

    discard_all = purge

    # -- workers ------------------------------------------------------------------------------------------------------

    def ping(self, destination: Destination = None, timeout: float | None = 1.0, **kwargs: Any) -> Replies:
        """Return ``[{node: {"ok": "pong"}}, ...]`` of the workers that live [A279]."""
        kwargs["reply"] = True
        return self.broadcast("ping", arguments={}, destination=destination, timeout=timeout, **kwargs) or Replies()

    def election(self, id: str, topic: str, action: Any = None, connection: Transport | None = None) -> None:
        """Have the workers choose one among them, which then does *action*."""
        self.broadcast("election", connection=connection, arguments={"id": id, "topic": topic, "action": action})

    def enable_events(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers send events of tasks [A281]."""
        return self.broadcast("enable_events", arguments={}, destination=destination, **kwargs)

    def disable_events(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers send no more events of tasks [A281]."""
        return self.broadcast("disable_events", arguments={}, destination=destination, **kwargs)

    def heartbeat(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers send a heartbeat now."""
        return self.broadcast("heartbeat", arguments={}, destination=destination, **kwargs)

    def pool_grow(self, n: int = 1, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Let workers run *n* more tasks at once."""
        return self.broadcast("pool_grow", arguments={"n": n}, destination=destination, **kwargs)

    def pool_shrink(self, n: int = 1, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Let workers run *n* fewer tasks at once; what runs is finished."""
        return self.broadcast("pool_shrink", arguments={"n": n}, destination=destination, **kwargs)

    def autoscale(self, max: int, min: int, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Change the bounds between which workers that were started with ``--autoscale`` grow and shrink."""
        return self.broadcast("autoscale", arguments={"max": max, "min": min}, destination=destination, **kwargs)

    def pool_restart(
        self,
        modules: Sequence[str] | None = None,
        reload: bool = False,
        reloader: Any = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Have workers make their pool anew, after importing *modules* (again, with *reload*).

        Only where ``worker_pool_restarts`` is set. *reloader* must be ``None``: a function does not travel.
        """
        arguments = {"modules": modules, "reload": reload, "reloader": reloader}
        return self.broadcast("pool_restart", arguments=arguments, destination=destination, **kwargs)

    def shutdown(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers finish what they run, and stop [A278]."""
        return self.broadcast("shutdown", arguments={}, destination=destination, **kwargs)
