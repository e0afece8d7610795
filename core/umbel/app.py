"""The application: configuration, tasks and connections of one task queue."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from umbel.app_connections import ConnectedApplication
from umbel.app_loading import import_related, import_required
from umbel.canvas.builtins import add_builtin_tasks
from umbel.canvas.signature import Signature, signature
from umbel.current import set_current, shared_tasks
from umbel.einfo import ExceptionInfo
from umbel.registry import Registry
from umbel.results import AsyncResult, GroupResult, ResultSet, result_from_tuple
from umbel.results.store import ResultStore
from umbel.signals import Signal, import_modules
from umbel.task import AsyncTask, Task
from umbel.task_attributes import TaskOptions
from umbel.task_making import BoundTaskDecorator, TaskDecorator, annotate, make_task
from umbel.task_naming import task_name

if TYPE_CHECKING:
    from umbel.calling.options import CallOptions
    from umbel.calling.publisher import Publisher
    from umbel.calling.queues import Queues
    from umbel.calling.router import CallRouter
    from umbel.calling.sending import Calls
    from umbel.canvas.workflows import Workflows
    from umbel.events.facade import Events
    from umbel.host import Host
    from umbel.protocol.codec import Codec

__all__ = ["Umbel"]

P = ParamSpec("P")
R = TypeVar("R")


class Umbel(ConnectedApplication):
    """A task queue application: ``app = Umbel("tasks", broker="sqlite://", backend="sqlite://")``.

    *main* names it: the module of tasks that are defined in the running program, and the embedded store where no
    *broker* is configured. *settings* are settings by their names; ``umbel.toml`` and ``[tool.umbel]`` of the working
    directory and the environment (``UMBEL_...``) are read at once, *config_source* (a module, an object, a dict or a
    name) too. What code assigns to :attr:`conf` later stands over all of them.

    Thread-safe once its tasks are defined. Nothing is connected and no plugin is imported before the first call.
    """

    #: What handlers and receivers get as ``einfo``; a subclass may give it more.
    exception_info: type[ExceptionInfo] = ExceptionInfo

    def __init__(
        self,
        main: str | None = None,
        *,
        broker: str | Sequence[str] | None = None,
        backend: str | None = None,
        include: Sequence[str] = (),
        config_source: Any = None,
        namespace: str | None = None,
        set_as_current: bool = True,
        task_cls: type[Task[..., Any]] | None = None,
        **settings: Any,
    ) -> None:
        self.main = main
        #: The base class of tasks that name none.
        self.Task: type[Task[..., Any]] = task_cls or Task
        self.tasks = Registry()
        #: Steps of the user's own for the worker, as classes: ``app.steps["worker"].add(MyStep)``.
        self.steps: dict[str, set[type[Any]]] = {"worker": set(), "consumer": set()}
        #: Command-line options of the user's own, by command: ``app.user_options["worker"].add(click.Option(...))``.
        self.user_options: dict[str, set[Any]] = {"preload": set(), "worker": set(), "beat": set()}
        self.on_configure = Signal("app.on_configure")
        self.on_after_configure = Signal("app.on_after_configure", ("source",))
        self.on_after_finalize = Signal("app.on_after_finalize")
        super().__init__(broker, backend, include, settings)
        if config_source is not None:
            self.conf.from_object(config_source, namespace)
        self.results = ResultStore(self)
        self._lock = threading.RLock()
        self._finalized = False
        self._discoveries: list[tuple[Iterable[str] | Callable[[], Iterable[str]], str | None]] = []
        if set_as_current:
            set_current(self)

    # -- parts that are made on first use -------------------------------------------------------------------------

    @cached_property
    def host(self) -> Host:
        """The application's plugins."""
        from umbel.host import Host  # brings pluggy and stevedore: a module of tasks must not pay for them

        return Host()

    @cached_property
    def codec(self) -> Codec:
        """Encodes and decodes through the installed serializers."""
        from umbel.protocol.codec import Codec  # only needed with the first call

        return Codec(self.host, self.conf.task_max_body_bytes)

    @cached_property
    def queues(self) -> Queues:
        """The queues that are known."""
        from umbel.calling.queues import Queues  # brings attrs and the models: only the first call pays for them

        return Queues(self.conf)

    @cached_property
    def router(self) -> CallRouter:
        """Answers where calls go."""
        from umbel.calling.router import CallRouter  # brings attrs and the models: only the first call pays for them

        self.finalize()
        return CallRouter(self, self.host.routers(self))

    @cached_property
    def publisher(self) -> Publisher:
        """Encodes and publishes."""
        from umbel.calling.publisher import Publisher  # brings attrs and the models: only the first call pays for them

        return Publisher(self)

    @cached_property
    def calls(self) -> Calls:
        """Sends calls."""
        from umbel.calling.sending import Calls  # brings attrs and the models: only the first call pays for them

        return Calls(self)

    @cached_property
    def events(self) -> Events:
        """What is told of tasks and workers, and listening to it."""
        from umbel.events.facade import Events  # for start-up: few programs listen

        return Events(self)

    @cached_property
    def workflows(self) -> Workflows:
        """Sends signatures."""
        from umbel.canvas.workflows import Workflows  # brings attrs and the models: only the first call pays for them

        return Workflows(self)

    # -- tasks ----------------------------------------------------------------------------------------------------

    @overload
    def task(self, fun: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, fun: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, *, bind: Literal[True], **options: Unpack[TaskOptions]) -> BoundTaskDecorator: ...
    @overload
    def task(self, /, *, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> TaskDecorator: ...

    def task(self, fun: Any = None, /, *, bind: bool = False, **options: Unpack[TaskOptions]) -> Any:
        """Make a function a task; with or without parentheses. ``docs/reference/tasks.md`` lists the options."""
        if fun is not None:
            return make_task(self, fun, {**options, "bind": bind})
        return lambda function: make_task(self, function, {**options, "bind": bind})

    def register_task(self, task: Task[P, R] | type[Task[P, R]], **options: Any) -> Task[P, R]:
        """Register a task object, or make one of a ``Task`` class; return it."""
        made = task() if isinstance(task, type) else task
        for name, value in options.items():
            setattr(made, name, value)
        if not made.name:
            made.name = task_name(type(made).__name__, type(made).__module__, self.main)
        made.bind(self)
        self.tasks.register(made)
        if self._finalized:
            annotate(made, self.conf.task_annotations)
        return made

    def gen_task_name(self, name: str, module: str | None) -> str:
        """Return the automatic name of a function *name* of *module*."""
        return task_name(name, module, self.main)

    def autodiscover_tasks(
        self,
        packages: Iterable[str] | Callable[[], Iterable[str]] = (),
        related_name: str | None = "tasks",
        force: bool = False,
    ) -> None:
        """Import ``<package>.<related_name>`` of *packages* (a list, or a function that gives one) where there is one.

        The worker does it when it starts; with *force* it is done now. Errors inside those modules get out (B1122).
        """
        if force:
            import_related(packages() if callable(packages) else packages, related_name)
        else:
            self._discoveries.append((packages, related_name))

    def import_modules(self) -> None:
        """Import ``imports`` and ``include``, and what :meth:`autodiscover_tasks` asked for."""
        import_modules.send_robust(sender=self)
        import_required((*self.conf.imports, *self.conf.include))
        for packages, related_name in self._discoveries:
            import_related(packages() if callable(packages) else packages, related_name)

    def finalize(self) -> None:
        """Register shared and built-in tasks and apply ``task_annotations``, once; the first call does it too."""
        with self._lock:
            if self._finalized:
                return
            self._finalized = True
            self.on_configure.send(sender=self)
            self.on_after_configure.send(sender=self, source=self.conf)
            for register in shared_tasks():
                register(self)
            add_builtin_tasks(self)
            for task in self.tasks.values():
                annotate(task, self.conf.task_annotations)
        self.on_after_finalize.send(sender=self)

    # -- calling --------------------------------------------------------------------------------------------------

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[Any]:
        """Call a task by its name; this process need not know it. Options and errors are those of ``apply_async``."""
        task = self.tasks.get(name)
        if self.conf.task_always_eager:
            if task is not None:
                return task.apply(args, kwargs, **options)
            warnings.warn(f"task_always_eager: task {name!r} is not registered here, so it is sent", stacklevel=2)
        return self.calls.send(task, name, args, kwargs, options)

    def send_tasks(self, signatures: Iterable[Mapping[str, Any]], **options: Unpack[CallOptions]) -> list[Any]:
        """Send signatures, of any tasks, in one request to the broker; return their results in order."""
        return list(self.workflows.send_all(signatures, options))

    def signature(self, varies: Any, *args: Any, **kwargs: Any) -> Signature:
        """Return a signature that this application sends."""
        return signature(varies, *args, app=self, **kwargs)

    # -- results --------------------------------------------------------------------------------------------------

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AsyncResult[Any]:  # noqa: N802 - Celery's name
        """Return the result of a call by its id."""
        return AsyncResult(task_id, app=self, **kwargs)

    def GroupResult(self, id: str, results: Iterable[Any] = ()) -> GroupResult:  # noqa: N802
        """Return results under a group's id."""
        return GroupResult(id, results, app=self)

    def ResultSet(self, results: Iterable[Any]) -> ResultSet:  # noqa: N802
        """Return several results as one."""
        return ResultSet(results, app=self)

    def result_from_tuple(self, value: Any) -> Any:
        """Return the result that ``as_tuple()`` gave."""
        return result_from_tuple(value, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- programs -------------------------------------------------------------------------------------------------

    def select_queues(self, queues: Iterable[str]) -> None:
        """Consume from these queues only (``-Q``)."""
        self.queues.select(queues)

    def start(self, argv: Sequence[str] | None = None) -> None:
        """Run the command-line program with this application; *argv* without the program's name."""
        from importlib.metadata import entry_points  # stdlib, costly, and the program is only started once

        set_current(self)  # where the program looks when no -A is given
        program = next(iter(entry_points(group="console_scripts", name="umbel"))).load()
        program(list(argv) if argv is not None else None)

    def worker_main(self, argv: Sequence[str] | None = None) -> None:
        """Run the worker program with this application (B417)."""
        self.start(["worker", *(argv or ())])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.main or '__main__'}>"
