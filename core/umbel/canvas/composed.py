"""Signatures that are composed of others: ``chain``, ``group``, ``chord``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from umbel.canvas.signature import Signature, as_signature_list
from umbel.results import GroupResult

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["chain", "chord", "group"]


def _gathered(tasks: tuple[Any, ...]) -> list[Signature]:
    """Return signatures given one by one, or as one list or generator."""
    if len(tasks) == 1 and not isinstance(tasks[0], Mapping) and isinstance(tasks[0], Iterable):
        tasks = tuple(tasks[0])
    for task in tasks:
        if not isinstance(task, dict | Mapping):  # a dict is told from others ten times faster than a mapping
            raise TypeError(f"expected signatures such as task.s(...), got {type(task).__name__} {task!r}")
    return as_signature_list(tasks)


class _Composed(Signature):
    """What composed signatures share: parts in ``kwargs``, an application found in one of them."""

    @property
    def parts(self) -> list[Signature]:
        """The signatures that it consists of."""
        return as_signature_list(self.kwargs["tasks"], self._app)

    @property
    def app(self) -> Umbel:
        """The application of its parts."""
        if self._app is None:
            for part in self.parts:
                if part._app is not None or isinstance(part, _Composed):
                    return part.app
        return super().app

    @property
    def tasks(self) -> list[Signature]:
        """The signatures that it consists of."""
        return self.parts

    def clone(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        """Return a copy that keeps *args* in front of its own; its parts get them when it is sent."""
        made = copy.copy(self)
        if not self.immutable:
            made["args"] = (*args, *self.args)
        made["options"] = {**self.options, **options}
        return made

    partial = clone

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it with further arguments."""
        return self.apply_async(args, kwargs)

    def __len__(self) -> int:
        return len(self.kwargs["tasks"])

    def __bool__(self) -> bool:
        return True


class chain(_Composed):
    """Tasks one after the other: each is called with the result of the one before (unless it is immutable).

    ``chain(a, b, c)``, ``chain([a, b, c])`` and ``a | b | c`` are the same. A group with something after it becomes a
    chord. Sending it gives the result of the last task; ``result.parent`` is that of the one before.
    """

    kind: ClassVar[str | None] = "chain"

    def __init__(self, *tasks: Any, app: Umbel | None = None, **options: Any) -> None:
        super().__init__("celery.chain", (), {"tasks": _gathered(tasks)}, options, app=app)

    def __or__(self, other: Any) -> Signature:  # type: ignore[override]
        if not isinstance(other, Mapping):
            return NotImplemented
        if self.options:  # they are about this chain's own end, or all of its own steps
            return chain(self, other, app=self._app)
        made = copy.copy(self)
        made.kwargs["tasks"] = [*self.kwargs["tasks"], *_steps(other)]
        return made

    def apply(self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run the steps here and now, one after the other."""
        result: Any = None
        given: Sequence[Any] = (*(args or ()), *self.args)
        extra = dict(kwargs or {})
        steps = self.app.workflows.steps_of(self)
        last = len(steps) - 1
        for index, step in enumerate(steps):
            parent, own = result, {**self.options, **options} if index == last else {}
            result = step.apply(given, extra, **own)
            result.parent = parent
            if not result.successful():
                break
            given, extra = (result.get(disable_sync_subtasks=False),), {}
        return result

    def __repr__(self) -> str:
        return " | ".join(repr(part) for part in self.parts)


class group(_Composed):
    """Tasks that run at the same time. Sending it gives a :class:`~umbel.GroupResult`.

    ``group(a, b)``, ``group([a, b])``, ``group(add.s(i, i) for i in range(10))``; arguments given when it is sent go to
    every member.
    """

    kind: ClassVar[str | None] = "group"

    def __init__(self, *tasks: Any, app: Umbel | None = None, **options: Any) -> None:
        super().__init__("celery.group", (), {"tasks": _gathered(tasks)}, options, app=app)

    def __or__(self, other: Any) -> Signature:  # type: ignore[override]
        return chord(self, body=other) if isinstance(other, Mapping) else NotImplemented

    def apply(self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run the members here and now."""
        frozen, _ = self.app.workflows.freeze(self)
        given = (*(args or ()), *self.args)
        results = [part.apply(given, kwargs) for part in as_signature_list(frozen["kwargs"]["tasks"], self._app)]
        return GroupResult(str(frozen["options"]["task_id"]), results, app=self.app)

    def link(self, callback: Signature) -> Signature:
        """Have *callback* called with the result of the first member, as in Celery."""
        tasks = self.parts
        if tasks:
            self.kwargs["tasks"] = tasks
            tasks[0].link(callback)
        return callback

    def link_error(self, errback: Signature) -> Signature:
        """Have *errback* called for each member that fails."""
        self.kwargs["tasks"] = tasks = self.parts
        for task in tasks:
            task.link_error(errback)
        return errback

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> Self:
        """Start the members one after the other: the first *start* seconds after it is sent, each next one *step*
        seconds later, none later than *stop*. In place; return itself.
        """
        self.kwargs["tasks"] = tasks = self.parts
        for index, task in enumerate(tasks):
            countdown = start + index * step
            task.set(countdown=countdown if stop is None else min(countdown, stop))
        return self

    def __repr__(self) -> str:
        return f"group({self.parts!r})"


class chord(_Composed):
    """A group (the header) and a task (the body) that is called with the list of the header's results.

    ``chord(header, body)`` and ``chord(header)(body)``; the header is a list, a generator or a group. Sending it gives
    the result of the body, whose ``parent`` is the header's.
    """

    kind: ClassVar[str | None] = "chord"

    def __init__(
        self,
        header: Any,
        body: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        app: Umbel | None = None,
        **options: Any,
    ) -> None:
        if isinstance(header, Mapping):
            parts = as_signature_list([header], app)[0]
            header = parts if isinstance(parts, group) else group(parts)
        else:
            header = group(header)
        super().__init__(
            "celery.chord",
            (),
            {
                "kwargs": dict(kwargs or {}),
                "header": header,
                "body": None if body is None else as_signature_list([body])[0],
            },
            options,
            app=app,
        )

    @property
    def header(self) -> Signature:
        """The group whose results are collected."""
        return as_signature_list([self.kwargs["header"]], self._app)[0]

    @property
    def body(self) -> Signature | None:
        """What is called with them."""
        body = self.kwargs["body"]
        return None if body is None else as_signature_list([body], self._app)[0]

    @property
    def parts(self) -> list[Signature]:
        """The header's members and the body."""
        body = self.body
        return [*as_signature_list(self.header.kwargs["tasks"], self._app), *([] if body is None else [body])]

    @property
    def tasks(self) -> list[Signature]:
        """The header's members."""
        return as_signature_list(self.header.kwargs["tasks"], self._app)

    def __len__(self) -> int:
        return len(self.header.kwargs["tasks"])

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it, with *body* where it has none yet."""
        complete = self if body is None else self.with_body(as_signature_list([body])[0])
        return complete.apply_async((), {}, **options)

    def with_body(self, body: Signature) -> chord:
        """Return a copy that calls *body*."""
        made = copy.copy(self)
        made.kwargs["body"] = body
        return made

    def apply(self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run header and body here and now."""
        body = self.body
        if body is None:
            raise TypeError("chord: expected a body, the task that gets the results; got none: chord(header, body)")
        header = self.header.apply((*(args or ()), *self.args), kwargs)
        result = body.apply((header.get(disable_sync_subtasks=False),), **{**self.options, **options})
        result.parent = header
        return result

    def link(self, callback: Signature) -> Signature:
        """Have *callback* called with the result of the body."""
        self._own_body().link(callback)
        return callback

    def link_error(self, errback: Signature) -> Signature:
        """Have *errback* called when the body fails, also when it never runs because a member of the header failed."""
        self._own_body().link_error(errback)
        return errback

    def _own_body(self) -> Signature:
        body = self.body
        if body is None:
            raise TypeError("chord: expected a body before something is linked to it")
        self.kwargs["body"] = body
        return body

    def __repr__(self) -> str:
        return f"chord({self.tasks!r}, {self.body!r})"


def _steps(value: Mapping[str, Any]) -> list[Any]:
    """Return the steps of a chain, or the one thing itself, such as a chain with options of its own."""
    is_bare = not (value.get("options") or value.get("args") or value.get("immutable"))
    return list(value["kwargs"]["tasks"]) if value.get("subtask_type") == "chain" and is_bare else [value]


Signature.types.update(chain=chain, group=group, chord=chord)
