"""``umbel worker``: start a node."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from umbel.cli.session import Session
from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.log import Logging

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command"]


def _level(context: click.Context, parameter: click.Parameter, value: str) -> int:
    from umbel.log import parse_level

    try:
        return parse_level(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command("worker", context_settings={"ignore_unknown_options": False})
@click.option("-n", "--hostname", metavar="NAME", help="The node's name: w1@%h (%h host, %n short host, %d domain).")
@click.option("-c", "--concurrency", metavar="N", help="How many tasks run at once, or auto. Default: the processors.")
@click.option("--autoscale", metavar="MAX,MIN", help="Grow and shrink the pool between these with the work there is.")
@click.option("-P", "--pool", metavar="NAME", help="The pool: prefork, threads, solo, asyncio, or a plugin's.")
@click.option("-Q", "--queues", callback=_names, metavar="A,B", help="Consume from these queues only.")
@click.option("-X", "--exclude-queues", callback=_names, metavar="A,B", help="Consume from all but these queues.")
@click.option("-I", "--include", callback=_names, metavar="A,B", help="Import these modules too.")
@click.option("-l", "--loglevel", callback=_level, default="WARNING", metavar="LEVEL", help="DEBUG, INFO, WARNING, ...")
@click.option("-f", "--logfile", metavar="FILE", help="Log to this file instead of standard error (%n, %h, %i, %I).")
@click.option("-E", "--task-events", "--events", is_flag=True, default=None, help="Send task events for monitors.")
@click.option("--prefetch-multiplier", type=click.IntRange(0), metavar="N", help="Messages fetched ahead per process.")
@click.option("--disable-prefetch", is_flag=True, default=None, help="Fetch only what can start at once.")
@click.option("--time-limit", type=float, metavar="S", help="Kill a task after so many seconds.")
@click.option("--soft-time-limit", type=float, metavar="S", help="Raise SoftTimeLimitExceeded in it after so many.")
@click.option("--max-tasks-per-child", type=click.IntRange(1), metavar="N", help="Replace a process after N tasks.")
@click.option(
    "--max-memory-per-child", type=click.IntRange(1), metavar="KIB", help="Replace a process above this size."
)
@click.option("--purge", "--discard", is_flag=True, help="Drop all waiting messages first. There is no way back.")
@click.option("-S", "--statedb", metavar="FILE", help="A file that keeps revoked tasks over a restart.")
@click.option("--pidfile", metavar="FILE", help="Write the process id here; refuse to start when its process lives.")
@click.option("--uid", metavar="USER", help="Run as this user (needs root).")
@click.option("--gid", metavar="GROUP", help="Run as this group (needs root).")
@click.option("--umask", metavar="OCTAL", help="The file mode mask, in octal.")
@click.option("--workdir", type=click.Path(exists=True, file_okay=False), help="Change to this directory first.")
@click.option("-b", "--broker", metavar="URL", help="The broker, instead of the configured one.")
@click.option("-B", "--beat", is_flag=True, help="Run beat in this worker too; in one worker only.")
@click.option("-s", "--schedule-filename", metavar="FILE", help="With -B: the file of the last run times.")
@click.option("--scheduler", metavar="NAME", help="With -B: the scheduler plugin.")
@click.option("--http", metavar="HOST:PORT", help="Answer /live, /ready and /metrics there.")
@click.option("-O", "optimization", metavar="KIND", help="Celery's -O fair; Umbel is always fair.", hidden=True)
@click.option("--without-gossip", is_flag=True, help="Do not listen to other workers.")
@click.option("--without-mingle", is_flag=True, help="Do not ask other workers at the start.")
@click.option("--without-heartbeat", is_flag=True, help="Do not tell others that this worker lives.")
@click.option("--heartbeat-interval", type=float, metavar="S", help="Seconds between heartbeats. Default: 2.")
@click.pass_obj
def command(session: Session, /, **options: Any) -> int:
    """Start a worker that takes tasks from queues and runs them."""
    if options["workdir"] is not None:
        session.workdir = options["workdir"]
        session.enter_workdir()
    if options["broker"] is not None:
        session.broker = options["broker"]
    if options["umask"] is not None:
        os.umask(_octal(options["umask"]))
    return _run(session, options)


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise click.BadParameter(f"expected an octal number such as 022, got {text!r}") from None


def _run(session: Session, options: dict[str, Any]) -> int:
    from umbel import log
    from umbel.worker import naming, privileges
    from umbel.worker.program import Program
    from umbel.worker.worker import Worker

    node = naming.node_name(options["hostname"])
    privileges.drop_privileges(privileges.find_identity(options["uid"], options["gid"]))
    app = session.app
    _apply_settings(app, options)
    logfile_name = options["logfile"]
    logfile = None if logfile_name is None else naming.expand(logfile_name, node)
    with _pid_file(options["pidfile"], node) as remark:
        logging_ = _open_log(log, app, options["loglevel"], logfile, session)
        try:
            logger = logging.getLogger("umbel.worker")
            if remark:
                logger.warning("%s", remark)
            if os.getuid() == 0:
                logger.warning("running as root: a task that is broken into owns this machine; use --uid")
            worker = Worker(
                app,
                **_worker_options(options, node),
                steps=_more_steps(options),
                logfile=logfile,
                loglevel=logging_.level,
                process_init=_process_init(logging_, logfile_name, node),
            )
            _show_banner(session, worker, logging_)
            program = Program(worker, _say)
            code = program.run()
        finally:
            logging_.restore_stdouts()
    if program.wants_restart:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the very program that runs
    return code


def _apply_settings(app: Any, options: dict[str, Any]) -> None:
    """Make the options that are settings into settings."""
    chosen = {
        "worker_disable_prefetch": options["disable_prefetch"],
        "worker_state_db": options["statedb"],
        "worker_http": options["http"],
    }
    for name, value in chosen.items():
        if value is not None:
            setattr(app.conf, name, value)


def _worker_options(options: dict[str, Any], node: str) -> dict[str, Any]:
    names = (
        "pool",
        "concurrency",
        "autoscale",
        "prefetch_multiplier",
        "time_limit",
        "soft_time_limit",
        "max_tasks_per_child",
        "max_memory_per_child",
        "task_events",
        "heartbeat_interval",
        "without_heartbeat",
        "without_gossip",
        "without_mingle",
        "purge",
        "queues",
        "exclude_queues",
    )
    return {**{name: options[name] for name in names}, "include": options["include"], "hostname": node}


def _more_steps(options: dict[str, Any]) -> list[Any]:
    if not options["beat"]:
        return []
    from umbel.beat import beat_step

    return [beat_step(scheduler=options["scheduler"], schedule_filename=options["schedule_filename"])]


def _open_log(log: Any, app: Any, level: int, logfile: str | None, session: Session) -> Logging:
    try:
        opened: Logging = log.setup_logging(app, level, logfile, False if session.no_color else None)
    except OSError as error:
        raise ImproperlyConfigured(f"cannot write the log file {logfile}: {error}") from error
    return opened


def _process_init(logging_: Logging, logfile: str | None, node: str) -> Any:
    """Return what each pool process does: name itself in its log lines, and open a log file of its own for %i, %I."""

    def name_process() -> None:
        import multiprocessing  # not needed where no process is made

        process = multiprocessing.current_process()
        if process.name == "MainProcess":
            process.name = f"PoolProcess-{os.getpid()}"
        if logfile is not None and ("%i" in logfile or "%I" in logfile):
            from umbel.worker import naming

            logging_.reopen(naming.expand(logfile, node, process.name.rpartition("-")[2]))

    return name_process


@contextlib.contextmanager
def _pid_file(path: str | None, node: str) -> Iterator[str | None]:
    if path is None:
        yield None
        return
    from umbel.worker.naming import expand
    from umbel.worker.pidfile import PidFile

    pid_file = PidFile(expand(path, node))
    try:
        remark = pid_file.acquire()
    except OSError as error:
        raise ImproperlyConfigured(f"cannot write the pid file {pid_file.path}: {error}") from error
    try:
        yield remark
    finally:
        pid_file.release()


def _show_banner(session: Session, worker: Any, logging_: Logging) -> None:
    if session.quiet:
        return
    from umbel import __version__
    from umbel.worker.banner import banner

    _say(banner(worker, __version__, with_tasks=logging_.level <= logging.INFO))


def _say(text: str) -> None:
    """Write to the real standard output; a closed one must not stop the worker."""
    stream = sys.__stdout__
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{text}\n")
            stream.flush()
