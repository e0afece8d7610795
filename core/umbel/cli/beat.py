"""``umbel beat``."""

# Imports of what runs stand inside functions: --help must be quick.

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

import click

from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.cli import Session

__all__ = ["command"]


@click.command("beat")
@click.option("-s", "--schedule", metavar="FILE", help="The file of the last run times.")
@click.option("-S", "--scheduler", metavar="NAME", help="The scheduler plugin.")
@click.option("--max-interval", type=click.FloatRange(min=0.01), metavar="SECONDS", help="The longest sleep.")
@click.option("-l", "--loglevel", default="INFO", metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
@click.option("-f", "--logfile", metavar="FILE", help="The log file; standard error by itself.")
@click.option("--pidfile", metavar="FILE", help="Write the process id there; refuse to start beside a live one.")
@click.option("--uid", metavar="USER", help="Run as this user (needs root).")
@click.option("--gid", metavar="GROUP", help="Run as this group (needs root).")
@click.pass_obj
def command(session: Session, /, **options: Any) -> int:
    """Send the calls of beat_schedule when they are due.

    Run exactly one for a schedule: two would send everything twice. TERM and INT end it, its times made durable.
    """
    from umbel import log
    from umbel.beat.service import Service
    from umbel.worker import privileges

    privileges.drop_privileges(privileges.find_identity(options["uid"], options["gid"]))
    app = session.app
    try:
        color = False if session.no_color else None
        log.setup_logging(app, options["loglevel"], options["logfile"], color, redirect_stdouts=False)
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"cannot set up the log: {error}") from error
    service = Service(
        app,
        scheduler=options["scheduler"],
        schedule_filename=options["schedule"],
        max_interval=options["max_interval"],
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    app.import_modules()
    app.finalize()
    pid_file = None
    if options["pidfile"] is not None:
        from umbel.worker.pidfile import PidFile

        pid_file = PidFile(options["pidfile"])
        pid_file.acquire()
    try:
        if not session.quiet:
            _show_banner(service)
        service.start()
    finally:
        if pid_file is not None:
            pid_file.release()
        app.close()
    return 0


def _show_banner(service: Any) -> None:
    from umbel import __version__

    app = service.app
    click.echo(
        f"umbel beat v{__version__} is starting.\n"
        f"  . broker -> {app.connections.broker_label}\n"
        f"  . scheduler -> {service.scheduler_name}\n"
        f"  . entries -> {len(service.scheduler.entries())}\n"
        f"  . logfile -> {logging.getLevelName(logging.getLogger().level)}\n"
        f"  . maxinterval -> {service.max_interval:g} s"
    )
