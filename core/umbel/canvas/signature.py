"""A call that has not been made yet: what to call, with what, and how.

A signature is a plain dict in the wire's form (``WIRE.md`` 1.3), so that it can be an argument of a task, be stored and
be sent. Sending never changes it: ids are given to copies, and one signature can be sent again and again. What its
owner asks for (:meth:`Signature.set`, :meth:`Signature.link`) changes it in place, as in Celery.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from umbel.calling.links import as_signatures, refuse_circle
from umbel.canvas.stamping import Stampable
from umbel.current import current_app

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results.sets import Member
    from umbel.task import Task

__all__ = ["Signature", "as_signature_list", "maybe_signature", "signature", "signature_of_call"]


class Signature(Stampable):
    """A call of one task. See the module's docstring; :func:`signature` makes them, ``task.s(...)`` too."""

    #: ``subtask_type`` -> class, for those that are composed of others.
    types: ClassVar[dict[str, type[Signature]]] = {}
    kind: ClassVar[str | None] = None
    _app: Umbel | None

    def __init__(
        self,
        task: str | Task[..., Any] | Mapping[str, Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Task[..., Any] | None = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: Umbel | None = None,
        **ex: Any,
    ) -> None:
        if not isinstance(task, str) and isinstance(task, Mapping):  # most are text, which is told ten times faster
            super().__init__(task)
            for name, empty in (("args", ()), ("kwargs", {}), ("options", {})):
                self[name] = copy.copy(self.get(name) or empty)
            self.setdefault("subtask_type", None)
            self.setdefault("immutable", False)
        else:
            named = task if task is not None else type
            super().__init__(
                task=named if isinstance(named, str) else getattr(named, "name", None),
                args=tuple(args or ()),
                kwargs=dict(kwargs or {}),
                options={**(options or {}), **ex},
                subtask_type=subtask_type or self.kind,
                immutable=immutable,
            )
            app = app or getattr(named, "app", None)
        self._app = app

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], app: Umbel | None = None) -> Signature:
        """Return the signature of the right class for *value*, a signature as a plain dict; *value* stays as it is."""
        kind = value.get("subtask_type")
        found = cls.types.get(kind) if kind else None
        return found._restored(value, app) if found is not None else Signature(value, app=app)

    @classmethod
    def _restored(cls, value: Mapping[str, Any], app: Umbel | None) -> Signature:
        made = cls.__new__(cls)
        Signature.__init__(made, value, app=app)
        return made

    # -- where it belongs ------------------------------------------------------------------------------------------

    @property
    def app(self) -> Umbel:
        """The application that sends it."""
        return self._app if self._app is not None else current_app()

    @property
    def type(self) -> Task[..., Any]:
        """The task itself; :class:`~umbel.exceptions.NotRegistered` where it is not known."""
        return self.app.tasks[self.task]

    # -- derived signatures ---------------------------------------------------------------------------------------

    def clone(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        """Return a copy with *args* in front of its own, *kwargs* and *options* over its own.

        An immutable signature takes the options only.
        """
        made = copy.copy(self)
        made["args"], made["kwargs"], made["options"] = self.merged(args, kwargs, options)
        return made

    partial = clone

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here and now, and return its value."""
        merged_args, merged_kwargs, _ = self.merged(args, kwargs, {})
        return self.type(*merged_args, **merged_kwargs)

    def merged(
        self, args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any], dict[str, Any]]:
        """Return its arguments and options with the given ones merged in, as :meth:`clone` does."""
        merged = {**self.options, **options}
        if self.immutable:
            return self.args, self.kwargs, merged
        return (*args, *self.args), {**self.kwargs, **(kwargs or {})}, merged

    def replace(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a copy in which what is given stands instead of its own."""
        made = copy.copy(self)
        if args is not None:
            made["args"] = tuple(args)
        if kwargs is not None:
            made["kwargs"] = dict(kwargs)
        if options is not None:
            made["options"] = dict(options)
        return made

    def __copy__(self) -> Self:
        made = self.__class__.__new__(self.__class__)
        dict.__init__(made, self)
        made["kwargs"], made["options"] = dict(self.kwargs), dict(self.options)
        made._app = self._app
        return made

    copy = __copy__

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = self.__copy__()
        for name in ("args", "kwargs", "options"):
            made[name] = copy.deepcopy(self[name], memo)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return signature, (dict(self),)

    # -- changes in place -----------------------------------------------------------------------------------------

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Set options of the call, in place; return itself."""
        if immutable is not None:
            self["immutable"] = immutable
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Take further arguments, or no more."""
        self["immutable"] = immutable

    def link(self, callback: Signature) -> Signature:
        """Have *callback* called with the result of this one; linking it twice is linking it once. Return *callback*."""
        return self._append("link", callback)

    def link_error(self, errback: Signature) -> Signature:
        """Have *errback* called when this one fails. Return *errback*."""
        return self._append("link_error", errback)

    def on_error(self, errback: Signature) -> Self:
        """Like :meth:`link_error`, but return this signature."""
        self.link_error(errback)
        return self

    def _append(self, option: str, callback: Signature) -> Signature:
        refuse_circle(self, callback, option)
        linked = as_signatures(self.options.get(option)) or []
        if callback not in linked:
            self.options[option] = [*linked, callback]
        return callback

    def flatten_links(self) -> list[Signature]:
        """Return this signature and all that is linked to it, at any depth."""
        found: list[Signature] = [self]
        for link in as_signatures(self.options.get("link")) or ():
            found.extend(Signature.from_dict(link, self._app).flatten_links())
        return found

    # -- sending --------------------------------------------------------------------------------------------------

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send it, with *args*, *kwargs* and *options* merged in; return the result (a group's is a ``GroupResult``)."""
        return self.app.workflows.send(self, args or (), kwargs or {}, options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send it with further arguments; return the result."""
        return self.apply_async(args, kwargs)

    async def aapply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Like :meth:`apply_async`, for coroutines."""
        import asyncio  # stdlib; a program without coroutines should not pay for it

        return await asyncio.to_thread(self.apply_async, args, kwargs, **options)

    async def adelay(self, *args: Any, **kwargs: Any) -> Any:
        """Like :meth:`delay`, for coroutines."""
        return await self.aapply_async(args, kwargs)

    def apply(self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run it here and now; return an :class:`~umbel.results.eager_result.EagerResult`."""
        merged = self.merged(args or (), kwargs, options)
        return self.type.apply(merged[0], merged[1], **merged[2])

    def election(self) -> Any:
        """Have the workers elect one of them to send it, and return the result that it will have.

        Every worker that hears of it would call it, and the one that was asked first does. Workers without gossip take
        no part.
        """
        frozen, result = self.app.workflows.freeze(self)
        self.app.control.election(result.id, "task", frozen)
        return result

    def __invert__(self) -> Any:
        """``~sig``: send it and wait for its value."""
        return self.apply_async().get()

    def freeze(self, _id: str | None = None, **options: Any) -> Member:
        """Fix the id that it will be sent under, in place, and return the result that it will have."""
        self.options.update(options)
        if _id is not None:
            self.options["task_id"] = _id
        frozen, result = self.app.workflows.freeze(self)
        self["options"], self["kwargs"] = frozen["options"], frozen["kwargs"]
        return result

    # -- composing ------------------------------------------------------------------------------------------------

    def __or__(self, other: Any) -> Signature:  # type: ignore[override]  # a dict's own | merges dicts
        """``a | b``: *b* is called with the result of *a*."""
        if isinstance(other, Mapping):
            following = other if isinstance(other, Signature) else Signature.from_dict(other)
            return self._chained(following)
        return NotImplemented

    def __ror__(self, other: Any) -> Signature:  # type: ignore[override]
        """``{...} | b``: the same for a signature that is still a plain dict."""
        return Signature.from_dict(other, self._app) | self if isinstance(other, Mapping) else NotImplemented

    def _chained(self, following: Signature) -> Signature:
        made: Any = self.types["chain"]  # registered by umbel.canvas.composed, which stands above this module
        chained: Signature = made(self, following)
        return chained

    def __repr__(self) -> str:
        shown = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"{self.task}({', '.join(shown)})"

    __str__ = __repr__


def signature_of_call(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], app: Umbel | None, *, immutable: bool = False
) -> Signature:
    """Return the signature of a call of the task *name*, whose arguments nobody else holds: made twice as fast."""
    made = Signature.__new__(Signature)
    made["task"] = name
    made["args"] = args
    made["kwargs"] = kwargs
    made["options"] = {}
    made["subtask_type"] = None
    made["immutable"] = immutable
    made._app = app
    return made


def signature(varies: Any, *args: Any, **kwargs: Any) -> Signature:
    """Return a signature of a task (or its name) with ``args=(...)``, ``kwargs={...}`` and options.

    A signature as a plain dict (as a task gets it in its arguments) is made a signature again; what else is given is
    ignored then (B528).
    """
    app = kwargs.pop("app", None)
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, Mapping):
        return Signature.from_dict(varies, app)
    kwargs["app"] = app
    return Signature(varies, *args, **kwargs)


def maybe_signature(value: Any, app: Umbel | None = None, clone: bool = False) -> Signature | None:
    """Return *value* as a signature: ``None`` stays ``None``, a signature is itself (or its clone)."""
    if value is None:
        return None
    if isinstance(value, Signature):
        return value.clone() if clone else value
    return Signature.from_dict(value, app)


def as_signature_list(values: Iterable[Any], app: Umbel | None = None) -> list[Signature]:
    """Return *values*, signatures or their plain dicts, as signatures."""
    return [value if isinstance(value, Signature) else Signature.from_dict(value, app) for value in values]
