"""``app.control.inspect()``: what workers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.control.mailbox import names
from umbel.control.replies import Replies, flatten_reply
from umbel.protocol.control import matches_pattern

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import Transport

__all__ = ["Inspect"]


class Inspect:
    """Asks workers. Every method returns ``{node: answer, ...}``, or ``None`` when nobody has answered [B568].

    *destination*: nodes, as a list or one text with commas; with a single name as text, the answer itself is returned
    [A285]. *pattern* and *matcher* (``glob``, ``pcre``) choose nodes by name. *timeout* in seconds, *limit* the most
    replies, *callback* gets each reply as it comes. After a call :attr:`silent` holds the nodes that live and have not
    answered. Raises :class:`~umbel.exceptions.OperationalError` when the broker is not reached.
    """

    app: ClassVar[Any] = None

    def __init__(
        self,
        destination: str | Sequence[str] | None = None,
        timeout: float | None = 1.0,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        connection: Transport | None = None,
        app: Umbel | None = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> None:
        if app is not None:
            self.app = app  # type: ignore[misc]  # an instance may have another one than its class, as in Celery
        self.destination = destination
        self.timeout = timeout
        self.callback = callback
        self.connection = connection
        self.limit = limit
        self.pattern = pattern
        self.matcher = matcher
        #: Nodes that should have answered the last question and did not.
        self.silent: list[str] = []

    def _request(self, command: str, **kwargs: Any) -> Any:
        replies = self.app.control.broadcast(
            command,
            arguments=kwargs,
            destination=names(self.destination),
            callback=self.callback,
            connection=self.connection,
            limit=self.limit,
            timeout=self.timeout,
            reply=True,
            pattern=self.pattern,
            matcher=self.matcher or ("glob" if self.pattern else None),
        )
        return self._prepare(replies)

    def _prepare(self, replies: Replies) -> Any:
        self.silent = replies.silent
        if not replies:
            return None
        by_node = flatten_reply(replies)
        if isinstance(self.destination, str) and "," not in self.destination:
            return by_node.get(self.destination)
        if self.pattern:
            matcher = self.matcher or "glob"
            return {node: answer for node, answer in by_node.items() if matches_pattern(node, self.pattern, matcher)}
        return by_node

    # -- tasks --------------------------------------------------------------------------------------------------------

    def active(self, safe: bool | None = None) -> Any:
        """Return the tasks that run: a list of ``{"id", "name", "args", "kwargs", "time_start", ...}`` [A287]."""
        return self._request("active", safe=safe)

    def reserved(self, safe: bool | None = None) -> Any:
        """Return the tasks that a worker holds and has not started, those that wait for their time left out [A289]."""
        return self._request("reserved")

    def scheduled(self, safe: bool | None = None) -> Any:
        """Return the tasks that a worker holds until they are due: ``{"eta", "priority", "request"}`` [A288]."""
        return self._request("scheduled")

    def revoked(self) -> Any:
        """Return the ids of revoked tasks."""
        return self._request("revoked")

    def query_task(self, *ids: Any) -> Any:
        """Return ``{id: [state, info]}`` of those tasks that a worker has: active, reserved or scheduled."""
        if len(ids) == 1 and isinstance(ids[0], list | tuple):
            ids = tuple(ids[0])
        return self._request("query_task", ids=list(ids))

    def registered(self, *taskinfoitems: str) -> Any:
        """Return the names of the tasks that a worker knows, each with its *taskinfoitems* (attributes) if given."""
        return self._request("registered", taskinfoitems=list(taskinfoitems))

    registered_tasks = registered

    # -- workers ------------------------------------------------------------------------------------------------------

    def ping(self, destination: str | Sequence[str] | None = None) -> Any:
        """Return ``{node: {"ok": "pong"}}`` [B583]."""
        if destination:
            self.destination = destination
        return self._request("ping")

    def stats(self) -> Any:
        """Return figures of the worker: totals, pool, broker, resources."""
        return self._request("stats")

    def active_queues(self) -> Any:
        """Return the queues that a worker takes messages from, each with all its fields."""
        return self._request("active_queues")

    def clock(self) -> Any:
        """Return ``{"clock": n}``, the worker's logical time."""
        return self._request("clock")

    def conf(self, with_defaults: bool = False) -> Any:
        """Return the settings that were changed, or all; secrets are masked."""
        return self._request("conf", with_defaults=with_defaults)

    def report(self) -> Any:
        """Return ``{"ok": text}``: what belongs into a bug report."""
        return self._request("report")

    def hello(self, from_node: str, revoked: Sequence[str] | None = None) -> Any:
        """Introduce *from_node* and what it knows as *revoked*; return what the others know."""
        return self._request("hello", from_node=from_node, revoked=revoked)

    # -- debugging ----------------------------------------------------------------------------------------------------

    def memsample(self) -> Any:
        """Return how much memory the worker uses."""
        return self._request("memsample")

    def memdump(self, samples: int = 10) -> Any:
        """Return the memory samples taken so far, *samples* of them."""
        return self._request("memdump", samples=samples)

    def objgraph(self, type: str = "Request", n: int = 200, max_depth: int = 10) -> Any:
        """Return who holds the objects of a *type*, up to *n* of them and *max_depth* steps away."""
        return self._request("objgraph", num=n, max_depth=max_depth, type=type)
