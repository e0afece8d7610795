"""Every hook that Umbel calls.

A plugin is a module found by its entry point. It carries ``plugin_info`` (:class:`umbel.model.PluginInfo`) and functions
marked with :data:`hookimpl`, named as here. An implementation may leave out arguments it does not need.

**Driver hooks** make the parts. The host calls the implementation of the one plugin that was chosen by name, once for
each part, on the thread that starts the part. They return without connecting anywhere. What they raise stops the
start, and an answer of the wrong type is refused there.

**Observer hooks** (``umbel_<signal>``) are told what happens; each is the signal of that name in :mod:`umbel.signals`,
seen from a plugin. They run on the thread that does the work they speak of, so they must be quick. What they answer is
not used, except where it is said below. What they raise is logged once and counted; after ten failures the observer is
switched off. ``sender`` is who sends; arguments that one call does not have are ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:  # types of signatures alone: the contracts need not be imported to register a plugin
    import click

    from umbel.model import Route, RouteQuery
    from umbel.spi import (
        Committer,
        Compressor,
        Pool,
        PoolOptions,
        ResultBackend,
        Scheduler,
        Serializer,
        Transport,
    )

__all__ = ["PROJECT_NAME", "hookimpl", "hookspec"]

PROJECT_NAME: Final = "umbel"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
#: Marks a plugin's function as the implementation of the hook of its name.
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


# == driver hooks =====================================================================================================


@hookspec(firstresult=True)
def umbel_transport(app: Any, url: str) -> Transport:
    """Make the transport for *url*, unopened. Called for each connection; the URL's scheme chose the plugin."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Make the result backend for *url*, unopened. Called once a process; the URL's scheme chose the plugin."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make the pool, not started. Called once a worker, on its main thread, while no other thread runs."""
    raise NotImplementedError


@hookspec
def umbel_serializers() -> Sequence[Serializer]:
    """Return the serializers of this plugin. Called once, when one of them is first needed, on any thread."""
    raise NotImplementedError


@hookspec
def umbel_compressors() -> Sequence[Compressor]:
    """Return the compressors of this plugin. Called once, when one of them is first needed, on any thread."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_route(app: Any, query: RouteQuery) -> Route | None:
    """Say where a call goes, or ``None``; the first router that answers wins. Called for each call, on any thread."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_scheduler(app: Any, options: Mapping[str, Any]) -> Scheduler:
    """Make the scheduler of ``umbel beat``; *options* are the command's. Called once a beat, on its thread."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_committer(app: Any, transport: Transport, backend: ResultBackend) -> Committer | None:
    """Make a committer that does better than the kernel's for these two, or ``None``. Called on the outflow thread."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_surround_task(app: Any, task: Any) -> Callable[[Any, Callable[[], bytes]], bytes] | None:
    """Return what stands around every run of *task*, or ``None``: ``surround(request, run)`` returns what ``run()`` did.

    Called once for each task and process, where the task is about to run for the first time; it may change the task.
    For tracers: what surrounds a run is entered before ``task_prerun`` and left after ``task_postrun``. *run* answers
    with the encoded outcome and does not raise for what the task does.
    """
    raise NotImplementedError


@hookspec
def umbel_worker_steps(app: Any) -> Sequence[type[Any]]:
    """Return ``umbel.worker.steps.Step`` classes to start with the worker. Called once, on the worker's main thread."""
    raise NotImplementedError


@hookspec
def umbel_cli_commands() -> Sequence[click.Command]:
    """Return commands for ``umbel``. Called when a command is typed that Umbel itself does not have."""
    raise NotImplementedError


@hookspec(firstresult=True)
def umbel_monitor(app: Any, options: Mapping[str, Any]) -> int | None:
    """Show the cluster live until the user ends it; return the program's exit code, or ``None``: the first answer wins.

    Called by ``umbel events``, once, on the main thread. *options* are the command's: ``enable`` (have workers send
    events of tasks), ``keep`` (how many tasks to remember), ``filter``, ``no_color``.
    """
    raise NotImplementedError


# == observer hooks: tasks, where they are called =====================================================================


@hookspec
def umbel_before_task_publish(
    sender: str,
    body: Any,
    exchange: str,
    routing_key: str,
    headers: dict[str, Any],
    properties: dict[str, Any],
    declare: Sequence[Any],
    retry_policy: Mapping[str, Any] | None,
) -> None:
    """A task message is about to be sent, on the caller's thread. *sender* is the task's name.

    *body* is (args, kwargs, embed). Changes to *headers* and *properties* travel with the message.
    """


@hookspec
def umbel_after_task_publish(sender: str, body: Any, exchange: str, routing_key: str, headers: dict[str, Any]) -> None:
    """The broker has the message; on the caller's thread. *sender* is the task's name."""


@hookspec
def umbel_task_sent(
    sender: str, task_id: str, task: str, args: Any, kwargs: Any, eta: Any, taskset: str | None
) -> None:
    """Like ``umbel_after_task_publish``, which is to be preferred; *taskset* is the group's id."""


# == observer hooks: tasks, where they run ============================================================================


@hookspec
def umbel_task_received(sender: Any, request: Any) -> None:
    """The worker took a task from the broker; on the intake thread. *sender* is the worker."""


@hookspec
def umbel_task_prerun(sender: Any, task_id: str, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A task is about to run; where it runs. *sender* is the task."""


@hookspec
def umbel_task_postrun(
    sender: Any, task_id: str, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], retval: Any, state: str
) -> None:
    """A task has run, whatever its outcome; where it ran. *retval* is its result or exception, *sender* the task."""


@hookspec
def umbel_task_success(sender: Any, result: Any, runtime: float) -> None:
    """A task succeeded; where it ran. *runtime* in seconds, *sender* the task."""


@hookspec
def umbel_task_retry(sender: Any, request: Any, reason: Any, einfo: Any) -> None:
    """A task will run again; where it ran. *reason* is the exception, *sender* the task."""


@hookspec
def umbel_task_failure(
    sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, traceback: Any, einfo: Any
) -> None:
    """A task failed. Where it ran, or in the worker's outflow when its process was lost. *sender* is the task."""


@hookspec
def umbel_task_internal_error(
    sender: Any,
    task_id: str,
    args: Any,
    kwargs: Any,
    request: Any,
    exception: BaseException,
    traceback: Any,
    einfo: Any,
) -> None:
    """Umbel itself failed while it ran a task; where it ran. *sender* is the task."""


@hookspec
def umbel_task_revoked(sender: Any, request: Any, terminated: bool, signum: int | None, expired: bool) -> None:
    """A task was revoked, terminated or came too late; on a thread of the worker. *sender* is the task."""


@hookspec
def umbel_task_rejected(sender: Any, message: Any, exc: BaseException | None) -> None:
    """A message that is no task message of ours was refused; on a thread of the worker, the *sender*."""


@hookspec
def umbel_task_unknown(sender: Any, message: Any, exc: BaseException | None, name: str, id: str) -> None:
    """A message names a task that this worker does not know; on a thread of the worker, the *sender*."""


# == observer hooks: the worker =======================================================================================


@hookspec
def umbel_celeryd_init(sender: str, instance: Any, conf: Any, options: Mapping[str, Any]) -> None:
    """The worker *instance* is made and nothing is set up: the place to change *conf*. *sender* is its node name."""


@hookspec
def umbel_celeryd_after_setup(sender: str, instance: Any, conf: Any) -> None:
    """The worker's queues are set up, and nothing is started. *sender* is its node name."""


@hookspec
def umbel_import_modules(sender: Any) -> None:
    """Task modules are to be imported now. *sender* is the app. What is raised here is raised by the import."""


@hookspec
def umbel_worker_init(sender: Any) -> None:
    """The worker, the *sender*, is about to start; on its main thread."""


@hookspec
def umbel_worker_before_create_process(sender: Any) -> None:
    """A pool is about to start a process; in the process that will do so. *sender* is the pool."""


@hookspec
def umbel_worker_process_init(sender: None) -> None:
    """A new pool process is ready for its first task; in that process, which no task enters before this returns."""


@hookspec
def umbel_worker_process_shutdown(sender: None, pid: int, exitcode: int) -> None:
    """A pool process ends in good order; in that process."""


@hookspec
def umbel_worker_ready(sender: Any) -> None:
    """The worker, the *sender*, takes tasks from now on."""


@hookspec
def umbel_worker_shutting_down(sender: str, sig: str, how: str, exitcode: int) -> None:
    """The worker begins to stop. *sender* is its node name, *how* is ``Warm`` or ``Cold``, *sig* the signal's name."""


@hookspec
def umbel_worker_shutdown(sender: Any) -> None:
    """The worker, the *sender*, has stopped its parts and will exit."""


@hookspec
def umbel_heartbeat_sent(sender: Any) -> None:
    """The worker told the others that it lives; on the thread that did so."""


# == observer hooks: logging ==========================================================================================


@hookspec
def umbel_setup_logging(sender: Any, loglevel: int, logfile: str | None, format: str, colorize: bool) -> None:
    """Logging is to be set up. Whoever implements this does it, and Umbel leaves logging alone."""


@hookspec
def umbel_after_setup_logger(
    sender: Any, logger: Any, loglevel: int, logfile: str | None, format: str, colorize: bool
) -> None:
    """The root *logger* is set up: the place to add handlers."""


@hookspec
def umbel_after_setup_task_logger(
    sender: Any, logger: Any, loglevel: int, logfile: str | None, format: str, colorize: bool
) -> None:
    """The *logger* of tasks is set up: the place to add handlers."""


# == observer hooks: beat, green pools, programs ======================================================================


@hookspec
def umbel_beat_init(sender: Any) -> None:
    """``umbel beat`` starts, alone or inside of a worker. *sender* is the beat service."""


@hookspec
def umbel_beat_embedded_init(sender: Any) -> None:
    """Beat starts inside of a worker; after ``umbel_beat_init``. *sender* is the beat service."""


@hookspec
def umbel_eventlet_pool_started(sender: Any) -> None:
    """The eventlet pool, the *sender*, has started."""


@hookspec
def umbel_eventlet_pool_preshutdown(sender: Any) -> None:
    """The eventlet pool, the *sender*, is about to wait for its last tasks."""


@hookspec
def umbel_eventlet_pool_postshutdown(sender: Any) -> None:
    """The eventlet pool, the *sender*, has stopped."""


@hookspec
def umbel_eventlet_pool_apply(sender: Any, target: Any, args: Any, kwargs: Any) -> None:
    """The eventlet pool, the *sender*, takes a task."""


@hookspec
def umbel_user_preload_options(sender: Any, app: Any, options: Mapping[str, Any]) -> None:
    """A command line was read: *options* are the global ones and the user's own. *sender* is the command."""
