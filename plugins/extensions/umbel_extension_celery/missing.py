"""What Celery 5.7 has under its public names and this extension does not give, with the reason and what to do instead.

The error of a missing module, ``umbel migrate`` and the manual read this table; a test compares it with Celery itself.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MANUAL", "MISSING_MODULES", "MISSING_NAMES", "MissingModules", "why_module_is_missing"]

#: The page of the manual that an error points to.
MANUAL: Final = "docs/how-to/move-from-celery.md"

_BY_URL: Final = "result stores are plugins, chosen by the URL in result_backend; subclass celery.backends.base instead"
_BY_NAME: Final = "pools are plugins, chosen by name: worker_pool, or -P prefork|threads|solo|asyncio"
_COMMAND: Final = (
    "the commands are Umbel's: run them (umbel celery ...), or add to them by the entry points celery.commands"
)
_INNER: Final = "it is a part of the inside of Celery's worker, which Umbel builds otherwise"
_SMALL: Final = "a small tool of Celery's own code; take the standard library's, or copy what is needed"

_BACKENDS: Final = (
    "arangodb asynchronous azureblockblob cache cassandra consul cosmosdbsql couchbase couchdb database"
    " dynamodb elasticsearch filesystem gcs mongodb redis rpc s3"
)
_COMMANDS: Final = "amqp beat call control events graph list logtool migrate multi purge result shell upgrade worker"
_CONSUMER_PARTS: Final = "agent connection consumer control delayed_delivery events gossip heart mingle tasks"
_PLATFORMS: Final = (
    "DaemonContext close_open_fds create_pidlock detached fd_by_path get_errno_name initgroups parse_gid parse_uid"
    " set_mp_process_title set_process_title setgid setgroups setuid"
)
_ERRORS: Final = (
    "UnpickleableExceptionWrapper create_exception_cls find_pickleable_exception get_pickleable_etype"
    " get_pickleable_exception get_pickled_exception subclass_exception"
)

#: Module -> why it is missing, or what to use instead. A package stands for all that is below it.
MISSING_MODULES: Final[dict[str, str]] = {
    "celery.app.annotations": "task_annotations is a setting; what it needs is inside of umbel",
    "celery.app.autoretry": "autoretry_for is an option of tasks; what it needs is inside of umbel",
    "celery.app.builtins": "the built-in tasks (celery.chord, celery.map, ...) are made with the application",
    "celery.app.routes": "use task_routes, or the hook umbel_route",
    "celery.apps.beat": "run umbel celery beat",
    "celery.apps.multi": "run umbel celery multi",
    **{f"celery.backends.{name}": _BY_URL for name in _BACKENDS.split()},
    **{f"celery.bin.{name}": _COMMAND for name in _COMMANDS.split()},
    **{f"celery.concurrency.{name}": _BY_NAME for name in ("asynpool", "prefork", "solo", "thread")},
    "celery.concurrency.eventlet": "no green threads: run async def tasks in the pool asyncio, or -P threads",
    "celery.concurrency.gevent": "no green threads: run async def tasks in the pool asyncio, or -P threads",
    "celery.contrib.migrate": "move messages with umbel parked requeue, or with the broker's own tools",
    "celery.contrib.rdb": "use the standard library's debugger in a worker with -P solo",
    "celery.contrib.sphinx": "autodoc shows tasks as the functions that they wrap",
    "celery.contrib.testing.manager": "it belongs to Celery's own integration tests",
    **{f"celery.events.{name}": "the terminal monitor is Umbel's: umbel events" for name in ("cursesmon", "dumper")},
    **{
        f"celery.security.{name}": "what signs is the plugin umbel_serializer_auth"
        for name in ("certificate", "key", "serialization", "utils")
    },
    "celery.utils.abstract": _SMALL,
    "celery.utils.annotations": _SMALL,
    "celery.utils.debug": "use tracemalloc, or umbel inspect memsample",
    "celery.utils.deprecated": "use warnings.warn",
    "celery.utils.graph": "use umbel flow show, or graphlib of the standard library",
    "celery.utils.quorum_queues": "quorum queues are recognised by the transport",
    "celery.utils.static": "Celery's logo is Celery's",
    "celery.utils.sysinfo": "use os.getloadavg and os.cpu_count",
    "celery.utils.term": "use click.style",
    "celery.utils.threads": "use threading and contextvars",
    "celery.utils.timer2": "use sched, or a step with a thread of its own",
    "celery.worker.autoscale": "umbel worker --autoscale grows and shrinks the pool; no class of the project's own can do it",
    **{
        f"celery.worker.consumer.{name}": "require it by name in a step ('celery.worker.consumer.tasks:Tasks')"
        for name in _CONSUMER_PARTS.split()
    },
    "celery.worker.heartbeat": _INNER,
    "celery.worker.loops": _INNER,
    "celery.worker.pidbox": _INNER,
    "celery.worker.state": "a worker's state belongs to the worker: ask with app.control.inspect()",
    "celery.worker.strategy": _INNER,
}

#: Module that is there -> (the names it lacks, why).
MISSING_NAMES: Final[dict[str, tuple[str, str]]] = {
    "celery": ("log messaging", "leftovers of Celery's own start"),
    "celery.app": (
        "AppPickler disable_trace enable_trace pop_current_task push_current_task",
        "applications are found by name, not pickled; tracing of application creation is a debugging aid of Celery's",
    ),
    "celery.app.amqp": ("Queues task_message", "queues are in app.conf.task_queues"),
    "celery.app.defaults": ("NAMESPACES Option find flatten", "the settings are in umbel.settings.OPTIONS"),
    "celery.app.trace": (
        "TraceInfo reset_worker_optimizations setup_worker_optimizations trace_task",
        "Umbel runs tasks in its own way; build_tracer may be replaced, as tracers do",
    ),
    "celery.app.utils": ("filter_hidden_settings", "app.conf.humanize() masks what is secret"),
    "celery.beat": ("BeatPidbox", _INNER),
    "celery.bin.base": (
        "CLIContext DaemonOption consume_preload_options handle_preload_options handle_remote_command_error",
        _COMMAND,
    ),
    "celery.contrib.testing.mocks": ("ContextMock", "use unittest.mock.MagicMock, which is a context manager"),
    "celery.events": ("event_exchange get_exchange", "the exchange of events is made by the transport"),
    "celery.events.event": ("event_exchange get_exchange", "the exchange of events is made by the transport"),
    "celery.events.snapshot": ("evcam", "run umbel events --camera"),
    "celery.events.state": ("heartbeat_expires", "a worker of app.events.State says whether it is alive"),
    "celery.platforms": (
        _PLATFORMS,
        "Umbel stays in the foreground: systemd, or another supervisor, detaches, limits and watches",
    ),
    "celery.utils": ("import_from_cwd", _SMALL),
    "celery.utils.collections": (
        "AttributeDictMixin BufferMap ChainMap ConfigurationView Evictable Messagebuffer lpmerge",
        _SMALL,
    ),
    "celery.utils.functional": ("LRUCache head_from_fun mlazy", _SMALL),
    "celery.utils.imports": (
        "NotAPackage cwd_in_path find_module import_from_cwd module_file reload_from_cwd",
        _SMALL,
    ),
    "celery.utils.log": (
        "get_multiprocessing_logger in_sighandler reset_multiprocessing_logger set_in_sighandler",
        "Umbel's pools log through logging",
    ),
    "celery.utils.objects": ("FallbackContext getitem_property mro_lookup", _SMALL),
    "celery.utils.saferepr": ("reprstream", _SMALL),
    "celery.utils.serialization": (
        _ERRORS,
        "exceptions are carried by name and arguments",
    ),
    "celery.utils.text": (
        "abbrtask dedent_initial ensure_newlines ensure_sep fill_paragraphs simple_format",
        _SMALL,
    ),
    "celery.utils.time": ("add_seconds_to_datetime ffwd subtract_datetimes", _SMALL),
}


def why_module_is_missing(module: str) -> str | None:
    """Return why *module*, or a package that it is in, is missing; ``None`` when nothing is known of it."""
    while module:
        if module in MISSING_MODULES:
            return MISSING_MODULES[module]
        module = module.rpartition(".")[0]
    return None


def _refuse(module: str) -> ModuleNotFoundError:
    why = why_module_is_missing(module)
    told = f": {why}" if why else ""
    return ModuleNotFoundError(
        f"No module named {module!r}: 'celery' is Umbel here, which has no such module{told}. What else is missing, and what "
        f"to do: {MANUAL}, 'Moving from Celery', in Umbel's manual",
        name=module,
    )


class MissingModules:
    """Stands last on ``sys.meta_path``: the error for a module of Celery's that was not found says what to do instead."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Raise ``ModuleNotFoundError`` for ``celery.*``; say of any other module that it is not here."""
        if name.startswith("celery."):
            raise _refuse(name)
