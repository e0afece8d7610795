"""Many calls of one task: what they have in common is made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import new_ids
from umbel.calling.options import build_call, check_arguments, check_options
from umbel.model import Message, Publication, TaskCall

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.calling.router import Destination
    from umbel.task import Task

__all__ = ["Alike", "Batch", "prepare_call"]

#: What makes calls differ in more than their arguments and ids: then each is built on its own.
_OF_ONE = ("task_id", "argsrepr", "kwargsrepr", "correlation_id", "root_id", "headers")

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


class Batch:
    """Prepares calls of one task under the same options. The first is built in full, and the others after its likeness:
    their own are arguments, ids, and the texts of the arguments.
    """

    def __init__(self, app: Umbel, task: Task[..., Any], options: Mapping[str, Any]) -> None:
        self._app = app
        self._task = task
        self._options = options
        self._check = task.parameters.check if task.typing else None
        self._route = app.router.route
        self._likeness: tuple[Destination, Publication, str, Any, bool] | None = None
        self._ids: list[str] = []
        self._alike = (
            app.conf.task_protocol == 2  # protocol 1 has it all in the body
            and not task.has_shadow_name
            and not any(options.get(name) is not None for name in _OF_ONE)
        )

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
        destination, options = self._route(task.name, args, kwargs, self._options, task)
        likeness = self._likeness
        if likeness is not None and likeness[0] is destination and options is self._options:
            return self._prepare_alike(args, kwargs, likeness)
        built = build_call(self._app, task, task.name, args, kwargs, options)
        publication = self._app.publisher.prepare(built, destination)
        headers = publication.message.headers
        if self._alike and "compression" not in headers and options is self._options:
            self._likeness = _likeness(destination, publication, built)
        return built.task_id, publication

    def _prepare_alike(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        likeness: tuple[Destination, Publication, str, Any, bool],
    ) -> tuple[str, Publication]:
        _, first, serializer, embed, is_root = likeness
        if not self._ids:
            self._ids = new_ids(_IDS_AT_ONCE)
        task_id = self._ids.pop()
        return task_id, _after_its_likeness(self._app, first, task_id, is_root, args, kwargs, embed, serializer)


class Alike:
    """Prepares the calls of a workflow. A call that differs from the one before it in arguments, id and place in its
    group alone, as most members of a group do, is made after its likeness.
    """

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._name = ""
        self._shared: dict[str, Any] | None = None
        self._likeness: tuple[Destination, Publication, str, Any, bool] | None = None

    def prepare(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Publication:
        """Route and encode a call, without I/O. Its id is among *options*."""
        app = self._app
        task = app.tasks.get(name)
        shared = dict(options)
        task_id, index = shared.pop("task_id", None), shared.pop("group_index", None)
        likeness = self._likeness if name == self._name and shared == self._shared else None
        if likeness is None:
            check_options(options, name)
        destination, routed = app.router.route(name, args, kwargs, options, task)
        if likeness is not None and task_id is not None and likeness[0] is destination and routed is options:
            _, first, serializer, embed, is_root = likeness
            made = _after_its_likeness(app, first, task_id, is_root, args, kwargs, embed, serializer)
            made.message.headers["group_index"] = index
            return made
        built = build_call(app, task, name, args, kwargs, routed)
        publication = app.publisher.prepare(built, destination)
        is_like_others = (
            routed is options
            and app.conf.task_protocol == 2
            and (task is None or not task.has_shadow_name)
            and "compression" not in publication.message.headers
            and not any(shared.get(option) is not None for option in _OF_ONE)
        )
        self._name, self._shared = name, shared
        self._likeness = _likeness(destination, publication, built) if is_like_others else None
        return publication


def _likeness(
    destination: Destination, publication: Publication, built: TaskCall
) -> tuple[Destination, Publication, str, Any, bool]:
    chain = None if built.chain is None else list(built.chain)
    embed = {"callbacks": built.callbacks, "errbacks": built.errbacks, "chain": chain, "chord": built.chord}
    is_root = publication.message.headers["root_id"] == built.task_id
    return destination, publication, built.serializer, embed, is_root


def _after_its_likeness(
    app: Umbel,
    first: Publication,
    task_id: str,
    is_root: bool,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    embed: Any,
    serializer: str,
) -> Publication:
    """Return a call like *first* with an id and arguments of its own."""
    like = first.message
    headers = like.headers.copy()
    headers["id"] = task_id
    if is_root:
        headers["root_id"] = task_id
    shown = app.publisher.shown
    headers["argsrepr"] = shown(args) if args else "()"
    headers["kwargsrepr"] = shown(kwargs) if kwargs else "{}"
    headers["stamps"] = headers["stamps"].copy()
    properties = like.properties.copy()
    properties["correlation_id"] = task_id
    if args or kwargs or not _is_bare(like):
        body, content_type, encoding = app.codec.dumps((args, kwargs, embed), serializer)
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


def _is_bare(message: Message) -> bool:
    """Say whether *message* calls without arguments, so that its body is that of every other such call."""
    headers = message.headers
    return bool(headers["argsrepr"] == "()" and headers["kwargsrepr"] == "{}")
