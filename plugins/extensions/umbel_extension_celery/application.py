"""The class ``Celery``: an Umbel application with Celery's constructor, defaults and attributes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

from umbel.current import set_default_maker
from umbel_extension_celery.backends.facade import backend_facade
from umbel_extension_celery.broker_connection import connection_for
from umbel_extension_celery.configuration import celery_defaults
from umbel_extension_celery.exception_info import CeleryExceptionInfo
from umbel_extension_celery.fixups import find_fixups
from umbel_extension_celery.hosting import CeleryHost
from umbel_extension_celery.lazy_configuration import LazilyConfigured
from umbel_extension_celery.loading import find_loader
from umbel_extension_celery.messaging import AMQP
from umbel_extension_celery.outside import CeleryControl, CeleryEvents
from umbel_extension_celery.program_log import ApplicationLog
from umbel_extension_celery.tasks import Task, with_attributes

__all__ = ["Celery"]


class Celery(LazilyConfigured):
    """``app = Celery("proj", broker="redis://...", backend="redis://...")``, as Celery's manual writes it.

    Configuration is read when a setting is first asked for, as there: a module named by :meth:`config_from_object` may
    import the module that makes the application. *loader*, *fixups*, *changes* and *config_source* are Celery's;
    *amqp*, *events*, *log*, *control* and *tasks* (classes of Celery's own parts) have no meaning here and are refused.
    """

    exception_info = CeleryExceptionInfo
    #: Celery's names of what a subclass may replace.
    task_cls: type[Task] = Task
    loader_cls: Any = None

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: Any = None,
        amqp: Any = None,
        events: Any = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Any = None,
        broker: str | Sequence[str] | None = None,
        include: Sequence[str] | str | None = None,
        changes: Mapping[str, Any] | None = None,
        config_source: Any = None,
        fixups: Sequence[Any] | None = None,
        task_cls: Any = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        **settings: Any,
    ) -> None:
        for name, given in {"amqp": amqp, "events": events, "log": log, "control": control, "tasks": tasks}.items():
            if given is not None:
                raise TypeError(
                    f"Celery({name}=...): expected none, since Umbel has no class of this kind to replace, got {given!r}"
                )
        self._pending = []
        self.strict_typing = strict_typing
        self.autofinalize = autofinalize
        super().__init__(
            main,
            broker=broker,
            backend=backend if isinstance(backend, str) or backend is None else None,
            include=(include,) if isinstance(include, str) else tuple(include or ()),
            set_as_current=set_as_current,
            task_cls=_symbol(task_cls) if task_cls is not None else self.task_cls,
            **{**dict(changes or {}), **settings},
        )
        self._conf.add_defaults(celery_defaults())
        self._backend_class = backend if isinstance(backend, type) else None
        self.steps.setdefault("consumer", set())
        self.loader = find_loader(loader or self.loader_cls or os.environ.get("CELERY_LOADER") or "app")(app=self)
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        #: Adapters to frameworks that the environment speaks of (Django).
        self.fixups = find_fixups(self, fixups)
        self.on_init()

    # -- parts ----------------------------------------------------------------------------------------------------

    def on_init(self) -> None:
        """Called at the end of the constructor; for subclasses."""

    @cached_property
    def host(self) -> CeleryHost:
        """The plugins, and behind them the classes that a Celery project may name instead."""
        return CeleryHost(self)

    @property
    def backend(self) -> Any:
        """The result backend with Celery's methods. Umbel's own contract is had by ``backend_for(None)``."""
        return backend_facade(self, self.backend_for(None))

    @cached_property
    def control(self) -> CeleryControl:
        """Commands to workers, and questions."""
        return CeleryControl(self)

    @cached_property
    def events(self) -> CeleryEvents:
        """What is told of tasks and workers, and listening to it."""
        return CeleryEvents(self)

    @cached_property
    def amqp(self) -> AMQP:
        """Queues and routes, under Celery's names."""
        return AMQP(self)

    @cached_property
    def log(self) -> ApplicationLog:
        """The setting up of logging, under Celery's names."""
        return ApplicationLog(self)

    @property
    def annotations(self) -> Any:
        """What ``task_annotations`` says."""
        return self.conf.task_annotations

    @property
    def finalized(self) -> bool:
        """Whether shared and built-in tasks are registered."""
        return self._finalized

    def finalize(self, auto: bool = False) -> None:
        super().finalize()

    @property
    def Worker(self) -> Any:  # noqa: N802 - Celery's name
        """Makes a worker of this application."""
        from umbel.worker import Worker  # workers cost start-up time, and few programs are one

        return partial(Worker, self)

    WorkController = Worker

    def set_current(self) -> None:
        """Make this the current application."""
        from umbel.current import set_current  # beside its only use

        set_current(self)

    def set_default(self) -> None:
        """Make this the application that is current while no other is."""
        self.set_current()

    def uses_utc_timezone(self) -> bool:
        """Whether times are in UTC."""
        return self.conf.timezone in (None, "UTC")

    def bugreport(self) -> str:
        """Return what a bug report should say of this installation."""
        from umbel_extension_celery.bug_report import bugreport  # only reports need it

        return bugreport(self)

    def either(self, default_key: str, *defaults: Any) -> Any:
        """Return the first of *defaults* that is not ``None``, else the setting *default_key*."""
        return next((value for value in defaults if value is not None), self.conf.get(default_key))

    # -- connections ----------------------------------------------------------------------------------------------

    def connection(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection to the broker: kombu's where kombu speaks the URL's scheme; see ``broker_connection``."""
        return connection_for(self, url or self.broker_url, options)

    broker_connection = connection_for_write = connection

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection to consume with."""
        return connection_for(self, url or self.connections.broker_read_urls[0], options)

    @contextmanager
    def connection_or_acquire(self, connection: Any = None, pool: bool = True, *_: Any, **__: Any) -> Iterator[Any]:
        """Give *connection*, or a new one that is closed at the end of the block."""
        if connection is not None:
            yield connection
            return
        with self.connection() as made:
            yield made

    default_connection = connection_or_acquire

    # -- tasks ----------------------------------------------------------------------------------------------------

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a function a task. An option that is none of Celery's becomes an attribute of the task."""
        base, known = with_attributes(options.pop("base", None) or self.Task, options)
        if len(args) > 1 or (args and not callable(args[0])):
            raise TypeError(f"@app.task: expected a function, got {args!r}; options are keyword arguments")
        decorate = super().task(base=base, **known)
        return decorate(args[0]) if args else decorate

    def autodiscover_tasks(
        self,
        packages: Iterable[str] | Callable[[], Iterable[str]] | None = None,
        related_name: str | None = "tasks",
        force: bool = False,
    ) -> None:
        """Import the task modules of *packages*; for ``None`` those of the framework (Django's installed apps)."""
        super().autodiscover_tasks(self._framework_packages if packages is None else packages, related_name, force)

    def _framework_packages(self) -> Iterable[str]:
        return [name for fixup in self.fixups for name in fixup.autodiscover_tasks()]

    def import_modules(self) -> None:
        """Import ``imports`` and ``include``, what was to be discovered, and what the loader brings."""
        self.loader.import_default_modules()
        super().import_modules()

    def add_periodic_task(
        self, schedule: Any, sig: Any, args: Any = (), kwargs: Any = (), name: str | None = None, **opts: Any
    ) -> str:
        """Send *sig* by *schedule* (seconds, or an object of ``celery.schedules``); return the entry's name."""
        from umbel.canvas import maybe_signature  # only this needs it

        signature = maybe_signature(sig, self)
        task, arguments, keywords, options = (
            (signature["task"], signature["args"], signature["kwargs"], signature["options"])
            if isinstance(signature, Mapping)
            else (getattr(sig, "name", sig), (), {}, {})
        )
        key = name or repr(sig)
        entry = {
            "task": task,
            "schedule": schedule,
            "args": tuple(args) or tuple(arguments),
            "kwargs": dict(kwargs) or dict(keywords),
            "options": {**dict(options), **opts},
        }
        self.conf.beat_schedule = {**self.conf.beat_schedule, key: entry}
        return key

    def AsyncResult(self, task_id: str, **kwargs: Any) -> Any:  # noqa: N802 - Celery's name
        """Return the result of a call by its id."""
        from umbel.results import AsyncResult  # beside its only use

        return AsyncResult(task_id, app=self, **kwargs)

    def worker_main(self, argv: Sequence[str] | None = None) -> None:
        """Run the worker program with this application; *argv* as on the command line of ``celery``."""
        arguments = list(argv if argv is not None else ["worker"])
        self.start(arguments if "worker" in arguments else ["worker", *arguments])

    def __reduce__(self) -> tuple[Any, ...]:
        return _application_of_name, (self.main,)


def _make_default() -> Any:
    """Make the application of a program that uses the current one and has made none."""
    return Celery("default", loader=os.environ.get("CELERY_LOADER") or "default", set_as_current=False)


set_default_maker(_make_default)


def _application_of_name(main: str | None) -> Any:
    """A pickled application is the current one of the process that loads it."""
    from umbel_extension_celery.current import get_current_app  # which asks this module

    return get_current_app()


def _symbol(value: Any) -> Any:
    from umbel_extension_celery.symbols import symbol_by_name  # beside its only use

    return symbol_by_name(value) if isinstance(value, str) else value
