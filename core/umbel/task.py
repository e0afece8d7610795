"""Tasks: what ``@app.task`` makes of a function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import Token
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from umbel import exceptions
from umbel.canvas.signature import Signature
from umbel.context import Context, Frame, pop_frame, push_frame, top_frame
from umbel.current import current_app
from umbel.task_handlers import TaskHandlers
from umbel.task_signatures import TaskSignatures
from umbel.task_workflows import TaskWorkflows

if TYPE_CHECKING:
    import datetime as dt

    from umbel.app import Umbel
    from umbel.calling.arguments import Parameters
    from umbel.calling.options import CallOptions
    from umbel.results import AsyncResult
    from umbel.results.eager_result import EagerResult
    from umbel.spi import ResultBackend

__all__ = ["AsyncTask", "Task"]

P = ParamSpec("P")
R = TypeVar("R")


class Task(TaskHandlers, TaskWorkflows, TaskSignatures, Generic[P, R]):
    """A function that can be called elsewhere, and its options. One object per application, name and process.

    Made by ``@app.task``, or a class of its own with a method ``run``, given to ``app.register_task``. What a task does
    not set (``serializer``, ``acks_late``, ``rate_limit`` ...) is its setting's value at the moment it is read.
    """

    #: What was decorated; ``None`` for a class with a ``run`` of its own.
    __wrapped__: Callable[..., Any] | None = None
    takes_self: bool = False
    backend_url: str | ResultBackend | None = None
    MaxRetriesExceededError = exceptions.MaxRetriesExceededError
    OperationalError = exceptions.OperationalError

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The body of the task."""
        raise NotImplementedError(f"task {self.name}: define run(), which is what the task does")

    def bind(self, app: Umbel) -> None:
        """Become a task of *app*; called once, when it is registered. Calls :meth:`on_bound`."""
        self.app = app
        if self.autoretry_for:
            from umbel.retries import with_autoretry  # costs start-up time, and few tasks need it

            self.run = with_autoretry(self, self.run)  # type: ignore[method-assign]
        self.on_bound(app)

    @property
    def origin(self) -> tuple[str, str]:
        """Module and qualified name of what defines it: the same for the same source, loaded again."""
        source = self.__wrapped__ if self.__wrapped__ is not None else type(self)
        module = getattr(source, "__module__", "")
        return str(module), str(getattr(source, "__qualname__", type(source).__qualname__))

    @cached_property
    def parameters(self) -> Parameters:
        """What the task takes from its callers."""
        from umbel.calling.arguments import Parameters  # costs start-up time: inspect

        function = self.__wrapped__ if self.__wrapped__ is not None else self.run
        return Parameters(self.name, function, skip=1 if self.takes_self else 0)

    @cached_property
    def is_coroutine(self) -> bool:
        """Whether it is an ``async def``."""
        from inspect import iscoroutinefunction  # stdlib, costly to import

        return iscoroutinefunction(self.__wrapped__ if self.__wrapped__ is not None else type(self).run)

    @property
    def backend(self) -> ResultBackend:
        """Where its results are kept; see :attr:`result_backend`."""
        return self.result_backend

    @property
    def result_backend(self) -> ResultBackend:
        """Where its results are kept: its own store, or the application's.

        What Umbel itself uses: a subclass may give :attr:`backend` another shape for its users.
        """
        url = self.backend_url
        return self.app.backend_for(url) if url is None or isinstance(url, str) else url

    # -- running --------------------------------------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, as a plain function: no result, no retry, no handlers."""
        frame = top_frame()
        if frame is not None and frame.task is self and not frame.request.entered:
            frame.request.entered = True  # super().__call__() of a task class, for the request that is running
            return self.run(*args, **kwargs)
        token = push_frame(self, Context(args=args, kwargs=kwargs, task=self.name, entered=True))
        try:
            return self.run(*args, **kwargs)
        finally:
            pop_frame(token)

    def value_here(self, request: Context, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function for the eager call *request*, and return its value, or raise: what ``apply`` does at its core."""
        value = self.entry(*args, **kwargs)
        if self.is_coroutine:
            from umbel.calling.eager import run_coroutine  # for start-up: what sends calls runs none

            return run_coroutine(value)
        return value

    @property
    def entry(self) -> Callable[..., Any]:
        """What a worker calls, after :meth:`push_request`: ``run``, or ``__call__`` where its class overrides that."""
        if type(self).__call__ is Task.__call__:
            frame = top_frame()
            if frame is not None:
                frame.request.entered = True
            return self.run
        return self

    @property
    def request(self) -> Context:
        """The request of the running call of this task; an empty one outside of any call (B1079)."""
        frame = top_frame()
        while frame is not None:
            if frame.task is self:
                return frame.request
            frame = frame.below
        return Context()

    def push_request(self, request: Context) -> Token[Frame | None]:
        """Begin a call; the answer goes to :meth:`pop_request`."""
        return push_frame(self, request)

    def pop_request(self, token: Token[Frame | None]) -> None:
        """End the call that :meth:`push_request` began."""
        pop_frame(token)

    # -- calling --------------------------------------------------------------------------------------------------

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Call the task elsewhere, with the arguments of the function; the short form of :meth:`apply_async`."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """Call the task elsewhere, under *options*, and return its result at once.

        Raises ``TypeError`` for arguments that the function does not take (unless ``typing`` is off) and for unknown
        options, ``ValueError`` for *args* that is no list or tuple, :class:`~umbel.exceptions.EncodeError` for what
        cannot be serialized, :class:`~umbel.exceptions.QueueNotFound`, and
        :class:`~umbel.exceptions.OperationalError` when the broker does not take it in time.
        """
        app = self.app
        if app.conf.task_always_eager:
            return self.apply(args, kwargs, **options)
        return app.calls.send(self, self.name, args, kwargs, options)

    def delay_many(self, calls: Iterable[Any], **options: Unpack[CallOptions]) -> list[AsyncResult[R]]:
        """Call the task many times in one request to the broker; return the results in order.

        Each of *calls* is a tuple of positional arguments, or a dict of keyword arguments; *options* are for all.
        """
        if self.app.conf.task_always_eager:
            pairs = [((), call) if isinstance(call, Mapping) else (call, None) for call in calls]
            return [self.apply(args, kwargs, **options) for args, kwargs in pairs]
        return self.app.calls.send_many(self, calls, options)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Like :meth:`delay`, for coroutines: the event loop goes on while the broker answers."""
        return await self.aapply_async(args, kwargs)

    async def aapply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """Like :meth:`apply_async`, for coroutines."""
        import asyncio  # stdlib; a program without coroutines should not pay for it

        return await asyncio.to_thread(self.apply_async, args, kwargs, **options)

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        throw: bool | None = None,
        **options: Unpack[CallOptions],
    ) -> EagerResult[R]:
        """Run a call here and now, with its handlers, signals, retries and callbacks; return its result.

        *throw* (``task_eager_propagates``): raise the task's exception instead of keeping it in the result.
        """
        from umbel.calling.eager import apply_eagerly  # costs start-up time, and few programs need it

        return apply_eagerly(self, args, kwargs, options, throw)

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AsyncResult[R]:  # noqa: N802 - Celery's name
        """Return the result of the call *task_id* of this task."""
        return self.app.AsyncResult(task_id, backend=self.backend_url, **kwargs)

    # -- from inside a running call -------------------------------------------------------------------------------

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: dt.datetime | str | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> exceptions.Retry:
        """Run this call again, later: after *countdown* seconds, at *eta*, or after ``default_retry_delay``.

        The call keeps its id and goes where it came from; *args*, *kwargs* and *options* change what they name. Raises
        :class:`~umbel.exceptions.Retry`, so that nothing after it is reached (with *throw* off it is returned); when
        *max_retries* (the task's for ``None``) is reached *exc*, or
        :class:`~umbel.exceptions.MaxRetriesExceededError` without one. A direct call is never retried: what went wrong
        is raised.
        """
        from umbel.retries import retry  # costs start-up time, and only running tasks need it

        return retry(self, args, kwargs, exc, throw, eta, countdown, max_retries, **options)

    def update_state(self, task_id: str | None = None, state: str | None = None, meta: Any = None, **_: Any) -> None:
        """Store *state*, a name of your own or of :mod:`umbel.states`, with *meta* as its metadata.

        *task_id* is that of the running call by itself. Nothing happens where results are not kept, or in a direct call.
        """
        request = self.request
        chosen = task_id or request.id
        if chosen is not None:
            self.app.results.store_state(self, request, chosen, state or "", meta)

    def signature_from_request(
        self,
        request: Context | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Signature:
        """Return the call that *request* (the running one) was, with what is given changed."""
        from umbel.retries import options_of  # as in retry()

        request = self.request if request is None else request
        own = options_of(request)
        return self.signature(
            request.args if args is None else args, request.kwargs if kwargs is None else kwargs, **{**own, **options}
        )

    # -- forms ----------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<@task: {self.name}{f' of {self.app.main}' if self.app is not None and self.app.main else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _task_of_current_app, (self.name,)


def _task_of_current_app(name: str) -> Task[..., Any]:
    return current_app().tasks[name]


if TYPE_CHECKING:

    class AsyncTask(Task[P, R]):
        """An ``async def`` task: calling it gives a coroutine, sending it the result of what that returns."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
            """Return the coroutine."""
            ...

else:
    AsyncTask = Task
