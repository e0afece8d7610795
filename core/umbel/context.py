"""What a running task knows of its call: ``task.request``.

The stack of running calls lives in one context variable, so that each thread and each coroutine has its own. A frame is
(task, request, the frame below); the worker pushes one for each job, a direct call ``task(...)`` pushes one too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from umbel.model import Publication
    from umbel.task import Task

__all__ = [
    "ERRBACK_HEADER",
    "Context",
    "Frame",
    "current_request",
    "current_task",
    "pop_frame",
    "push_frame",
    "top_frame",
]


#: Marks a call of ``errback(request, exc, traceback)``, whose first two arguments travel as documents.
ERRBACK_HEADER: Final = "x-umbel-errback"
_DOCUMENT: Final = (
    "id",
    "task",
    "args",
    "kwargs",
    "retries",
    "eta",
    "expires",
    "root_id",
    "parent_id",
    "group",
    "group_index",
    "origin",
    "hostname",
    "delivery_info",
    "reply_to",
    "correlation_id",
    "timelimit",
    "stamps",
    "stamped_headers",
    "shadow",
    "argsrepr",
    "kwargsrepr",
    "queue",
)

#: The headers that every normalized message has; each is an attribute of its request.
HEADERS: Final = (
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
)
_FULL: Final = len(HEADERS)
_PLACE: Final = {name: place for place, name in enumerate(HEADERS)}


def _ours(headers: Mapping[str, Any]) -> tuple[Any, ...]:
    fields = {name: headers.get(name) for name in HEADERS}
    fields["root_id"] = fields["root_id"] or fields["id"]
    fields["retries"] = fields["retries"] or 0
    fields["replaced_task_nesting"] = fields["replaced_task_nesting"] or 0
    return tuple(fields.values())


class _Header:
    """A field that is one of :data:`HEADERS`: read from the message's values when asked for, hidden by an assignment.

    Most calls ask for few of them, and making forty attributes for each call would cost more than running a small one.
    """

    def __init__(self, name: str, default: Any) -> None:
        self._place = _PLACE[name]
        self._default = default

    def __get__(self, request: Context | None, owner: type[Context]) -> Any:
        values = None if request is None else request.__dict__.get("_values")
        return self._default if values is None else values[self._place]


class _Lazy:
    """A field that is made of what the worker knows of the message when it is first asked for, and kept then."""

    def __init__(self, name: str, make: Callable[[Context], Any], default: Any) -> None:
        self._name = name
        self._make = make
        self._default = default

    def __get__(self, request: Context | None, owner: type[Context]) -> Any:
        if request is None or "_values" not in request.__dict__:
            return self._default
        made = request.__dict__[self._name] = self._make(request)
        return made


def _header(name: str, default: Any = None) -> Any:
    return _Header(name, default)


def _lazy(name: str, make: Callable[[Context], Any], default: Any = None) -> Any:
    return _Lazy(name, make, default)


def _delivery_info(request: Context) -> dict[str, Any]:
    _, exchange, routing_key, priority, redelivered, _ = request.__dict__["_delivery"]
    return {"exchange": exchange, "routing_key": routing_key, "priority": priority, "redelivered": redelivered}


class Context:
    """The request of a running call: mutable, and free to carry attributes of the task's own (B500).

    Made by the worker with :meth:`from_message`, by ``apply()`` and by direct calls. What is not known of a call is at
    its default: ``id`` is ``None`` and ``called_directly`` true outside of any worker. ``timelimit`` is (hard, soft) in
    seconds. ``chain`` is what follows, last first; ``callbacks``, ``errbacks``, ``chain`` and ``chord`` are plain dicts.

    ``outbox`` is a list in a worker: what :meth:`umbel.Task.retry` has to publish is appended to it and leaves with the
    commit of this attempt. It is ``None`` elsewhere.
    """

    id: str | None = _header("id")
    task: str | None = _header("task")
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    retries: int = _header("retries", 0)
    eta: str | None = _header("eta")
    expires: str | None = _header("expires")
    root_id: str | None = _header("root_id")
    parent_id: str | None = _header("parent_id")
    group: str | None = _header("group")
    group_index: int | None = _header("group_index")
    chord: Any = None
    chain: list[Any] | None = _lazy("chain", lambda request: list(request.__dict__["_steps"]))
    callbacks: list[Any] | None = None
    errbacks: list[Any] | None = None
    origin: str | None = _header("origin")
    hostname: str | None = None
    delivery_info: dict[str, Any] | None = _lazy("delivery_info", _delivery_info)
    reply_to: str | None = _lazy("reply_to", lambda request: (request.properties or {}).get("reply_to"))
    correlation_id: str | None = _lazy(
        "correlation_id", lambda request: (request.properties or {}).get("correlation_id")
    )
    is_eager: bool = False
    called_directly: bool = True
    timelimit: Sequence[float | None] | None = _header("timelimit")
    headers: dict[str, Any] | None = _lazy(
        "headers", lambda request: dict(zip(HEADERS, request.__dict__["_values"], strict=True))
    )
    properties: dict[str, Any] | None = None
    stamps: dict[str, Any] | None = _header("stamps")
    stamped_headers: list[str] | None = _header("stamped_headers")
    shadow: str | None = _header("shadow")
    replaced_task_nesting: int = _header("replaced_task_nesting", 0)
    utc: bool = True
    logfile: str | None = None
    loglevel: int | None = None
    ignore_result: bool = _header("ignore_result", False)
    argsrepr: str | None = _header("argsrepr")
    kwargsrepr: str | None = _header("kwargsrepr")
    content_type: str | None = None
    compression: str | None = _lazy("compression", lambda request: (request.headers or {}).get("compression"))
    delivery_count: int = _lazy("delivery_count", lambda request: request.__dict__["_delivery"][5], 1)
    queue: str | None = _lazy("queue", lambda request: request.__dict__["_delivery"][0])
    #: Results of the calls made by this one, as result tuples or results: the ``children`` of its own result.
    children: list[Any]
    outbox: list[Publication] | None = None
    #: True once another call has taken this one's place (:meth:`umbel.Task.replace`), its id and all that waits for it.
    replaced: bool = False
    #: How many members this one has added to its chord, and their messages: they leave with its success.
    chord_extra: int = 0
    chord_outbox: Sequence[Publication] = ()
    #: True once the task's ``__call__`` runs for this request, so that ``super().__call__`` opens no second one.
    entered: bool = False

    def __init__(self, **fields: Any) -> None:
        self.children = []
        self.__dict__.update(fields)

    @classmethod
    def from_message(
        cls,
        headers: dict[str, Any] | tuple[Any, ...],
        properties: dict[str, Any],
        args: list[Any],
        kwargs: dict[str, Any],
        embed: Mapping[str, Any],
        *,
        delivery: tuple[str, str, str, int, bool, int],
        hostname: str | None = None,
        logfile: str | None = None,
        loglevel: int | None = None,
        content_type: str | None = None,
    ) -> Context:
        """Return the request that a normalized message (full protocol 2 headers) asks for.

        *headers* are the message's, or the values of :data:`HEADERS` where it has no others. *delivery* is (queue,
        exchange, routing_key, priority, redelivered, delivery_count). An errback in the form of
        ``handler(request, exc, traceback)`` gets its arguments back as objects: run the task with ``request.args``.
        """
        request = cls.__new__(cls)
        request.__dict__ = fields = {
            "_values": headers,
            "_delivery": delivery,
            "args": args,
            "kwargs": kwargs,
            "chord": embed.get("chord"),
            "callbacks": embed.get("callbacks"),
            "errbacks": embed.get("errbacks"),
            "hostname": hostname,
            "called_directly": False,
            "properties": properties,
            "logfile": logfile,
            "loglevel": loglevel,
            "content_type": content_type,
            "children": [],
            "outbox": [],
        }
        chain = embed.get("chain")
        fields["chain" if chain is None or type(chain) is list else "_steps"] = chain
        if not isinstance(headers, tuple):
            # A header of the caller's own must not become an attribute that hides one of ours.
            fields["_values"] = _ours(headers)
            fields["headers"] = headers
            if ERRBACK_HEADER in headers:
                _revive_errback(args)
        return request

    @property
    def steps(self) -> Any:
        """What follows, as ``chain``; or unread, as it came, where nobody has asked for ``chain`` yet."""
        fields = self.__dict__
        return fields["_steps"] if "_steps" in fields and "chain" not in fields else self.chain

    def __getattr__(self, name: str) -> Any:
        """Return a header of the caller's own (``headers={"x_tenant": 7}``), where no attribute has its name (B500)."""
        headers = self.__dict__.get("headers")
        if headers is not None and name in headers:
            return headers[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def as_document(self) -> dict[str, Any]:
        """Return what travels of this request in a message about it: to an errback."""
        return {name: getattr(self, name) for name in _DOCUMENT}

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field or attribute *name*, or *default*."""
        return getattr(self, name, default)

    def update(self, *args: Any, **fields: Any) -> None:
        """Set several fields or attributes at once."""
        self.__dict__.update(*args, **fields)

    @property
    def taskset(self) -> str | None:
        """The old name of ``group`` (A120)."""
        return self.group

    @property
    def is_worker(self) -> bool:
        """Whether a worker runs this call (not ``apply()``, not a direct call)."""
        return self.outbox is not None

    def __repr__(self) -> str:
        return f"<Context: {self.task}[{self.id}] retries={self.retries}>"


def _revive_errback(args: list[Any]) -> None:
    """Make request and exception of an errback's arguments objects again, in place."""
    from umbel.protocol.exceptions import exception_from_wire  # only errbacks need it, and it costs start-up time

    if args and isinstance(args[0], Mapping):
        args[0] = Context(**{name: args[0].get(name) for name in _DOCUMENT})
    if len(args) > 1 and isinstance(args[1], Mapping):
        args[1] = exception_from_wire(args[1])


class Frame(NamedTuple):
    """One running call."""

    task: Task[..., Any]
    request: Context
    below: Frame | None


_top: ContextVar[Frame | None] = ContextVar("umbel_running_call", default=None)

#: The frame on top in this thread or coroutine, or ``None``.
top_frame = _top.get


def push_frame(task: Task[..., Any], request: Context) -> Token[Frame | None]:
    """Make *request* the running call of *task*; give the answer to :func:`pop_frame` when it has ended."""
    return _top.set(Frame(task, request, _top.get()))


def pop_frame(token: Token[Frame | None]) -> None:
    """End the call that :func:`push_frame` began."""
    _top.reset(token)


def current_task() -> Task[..., Any] | None:
    """Return the task that runs in this thread or coroutine, or ``None``."""
    frame = _top.get()
    return frame.task if frame is not None else None


def current_request() -> Context | None:
    """Return the request of the task that runs in this thread or coroutine, or ``None``."""
    frame = _top.get()
    return frame.request if frame is not None else None
