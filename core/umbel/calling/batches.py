"""Many calls of one task: what they have in common is made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import new_ids
from umbel.calling.options import build_call, check_arguments, check_options
from umbel.model import Message, Publication, Route, TaskCall
from umbel.protocol.steps import embed_of

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import Task

__all__ = ["Alike", "Batch", "prepare_call"]

#: What makes calls differ in more than their arguments and ids: then each is built on its own.
_OF_ONE = ("argsrepr", "kwargsrepr", "correlation_id", "root_id", "headers")

_IDS_AT_ONCE = 64


def prepare_call(
    app: Umbel,
    task: Task[..., Any] | None,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[str, Publication]:
    """Route and encode a call, without I/O; return its id and what is to be published."""
    if task is not None and task.typing:
        task.parameters.check(args, kwargs)
    destination, options = app.router.route(name, args, kwargs, options, task)
    call = build_call(app, task, name, args, kwargs, options)
    return call.task_id, app.publisher.prepare(call, destination)


class _Likeness:
    """A call after which others are made: their own are arguments, ids, and the texts of the arguments."""

    def __init__(self, app: Umbel, route: Route | None, first: Publication, call: TaskCall) -> None:
        message = first.message
        #: What the routers said of it: calls that go another way are not like it.
        self.route = route
        self._shown = app.publisher.shown
        self._dumps = app.codec.dumps
        self._serializer: Any = call.serializer
        self._embed = embed_of(call)
        self._first = first
        self._message = message
        self._headers = message.headers.copy()
        self._properties = message.properties.copy()
        self._is_root = message.headers["root_id"] == call.task_id
        self._has_stamps = bool(message.headers["stamps"])
        # Its body and its texts are those of every call without arguments.
        self._is_bare = message.headers["argsrepr"] == "()" and message.headers["kwargsrepr"] == "{}"

    def make(
        self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], group_index: int | None = None
    ) -> Publication:
        """Return the call with *task_id* and these arguments."""
        like, first = self._message, self._first
        headers = self._headers.copy()
        headers["id"] = task_id
        if self._is_root:
            headers["root_id"] = task_id
        if group_index is not None:
            headers["group_index"] = group_index
        headers["stamps"] = headers["stamps"].copy() if self._has_stamps else {}
        properties = self._properties.copy()
        properties["correlation_id"] = task_id
        if args or kwargs or not self._is_bare:
            headers["argsrepr"] = self._shown(args) if args else "()"
            headers["kwargsrepr"] = self._shown(kwargs) if kwargs else "{}"
            body, content_type, encoding = self._dumps((args, kwargs, self._embed), self._serializer)
        else:
            body, content_type, encoding = like.body, like.content_type, like.content_encoding
        return Publication(
            Message(body, headers, properties, content_type, encoding),
            first.queue,
            first.exchange,
            first.routing_key,
            first.deliver_at,
            first.priority,
            first.expires_at,
        )


def _likeness(
    app: Umbel,
    task: Task[..., Any] | None,
    options: Mapping[str, Any],
    route: Route | None,
    first: Publication,
    call: TaskCall,
) -> _Likeness | None:
    """Return *first*, which was made of *call* under *options*, as what others are made after, if they can be."""
    if (
        app.conf.task_protocol != 2  # protocol 1 has it all in the body
        or (task is not None and task.has_shadow_name)
        or "compression" in first.message.headers
        or not (call.chain is None or type(call.chain) is list)  # unread: one of its kind
        or any(options.get(name) is not None for name in _OF_ONE)
        or (route is not None and any(route.options.get(name) is not None for name in ("task_id", *_OF_ONE)))
    ):
        return None
    return _Likeness(app, route, first, call)


class Batch:
    """Prepares calls of one task under the same options. The first is built in full, and the others after its likeness."""

    def __init__(self, app: Umbel, task: Task[..., Any], options: Mapping[str, Any]) -> None:
        self._app = app
        self._task = task
        self._options = options
        self._check = task.parameters.check if task.typing else None
        self._ask = app.router.ask
        self._likeness: _Likeness | None = None
        self._ids: list[str] = []
        self._is_one = options.get("task_id") is not None

    def prepare(self, call: Any) -> tuple[str, Publication]:
        """Prepare a call: a tuple or list of positional arguments, or a dict of keyword arguments."""
        task = self._task
        args: Sequence[Any]
        kwargs: Mapping[str, Any]
        if type(call) is tuple or type(call) is list:
            args, kwargs = call, {}
        elif isinstance(call, Mapping):
            args, kwargs = (), dict(call)
        else:
            args, kwargs = check_arguments(task.name, call, None)
        if self._check is not None:
            self._check(args, kwargs)
        route = self._ask(task.name, args, kwargs, self._options, task)
        likeness = self._likeness
        if likeness is not None and (route is likeness.route or route == likeness.route):
            if not self._ids:
                self._ids = new_ids(_IDS_AT_ONCE)
            task_id = self._ids.pop()
            return task_id, likeness.make(task_id, args, kwargs)
        app = self._app
        destination, options = app.router.way(route, self._options, task)
        built = build_call(app, task, task.name, args, kwargs, options)
        publication = app.publisher.prepare(built, destination)
        self._likeness = None if self._is_one else _likeness(app, task, self._options, route, publication, built)
        return built.task_id, publication


class Alike:
    """Prepares the calls of a workflow. A call that differs from the one before it in arguments, id and place in its
    group alone, as most members of a group do, is made after its likeness.
    """

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._ask = app.router.ask
        self._name = ""
        self._task: Task[..., Any] | None = None
        self._options: dict[str, Any] = {}
        self._likeness: _Likeness | None = None

    def prepare(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Publication:
        """Route and encode a call, without I/O. Its id is among *options*."""
        likeness = self._likeness
        if likeness is None or name != self._name:
            return self._first(name, args, kwargs, options)
        alike = self._options  # the options that the call has if it is like the one before
        task_id, index = options.get("task_id"), options.get("group_index")
        alike["task_id"] = task_id
        if "group_index" in alike:
            alike["group_index"] = index
        if options != alike or not task_id:
            return self._first(name, args, kwargs, options)
        route = self._ask(name, args, kwargs, options, self._task)
        if route is not likeness.route and route != likeness.route:
            return self._first(name, args, kwargs, options)
        return likeness.make(task_id, args, kwargs, index)

    def _first(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Publication:
        """Prepare a call that is like none before it."""
        app = self._app
        task = app.tasks.get(name)
        check_options(options, name)
        route = self._ask(name, args, kwargs, options, task)
        destination, routed = app.router.way(route, options, task)
        built = build_call(app, task, name, args, kwargs, routed)
        publication = app.publisher.prepare(built, destination)
        self._name, self._task, self._options = name, task, dict(options)
        self._likeness = _likeness(app, task, options, route, publication, built)
        return publication
