"""``umbel events``: watch what workers tell."""

from __future__ import annotations

from typing import Any

import click

from umbel.cli.session import Session

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no listener.

__all__ = ["command"]


@click.command("events")
@click.option("--enable", is_flag=True, help="Have workers tell of tasks, as `umbel control enable_events` does.")
@click.option("--filter", metavar="WORDS", help="Begin with this filter: 'state:failed name:shop -retry >1s'.")
@click.option(
    "--keep", type=click.IntRange(100, 1_000_000), default=10_000, show_default=True, help="Remember so many tasks."
)
@click.option("-d", "--dump", is_flag=True, help="Show each event as a line, instead of the monitor.")
@click.option("--json", "as_json", is_flag=True, help="With --dump: as JSON, one object a line.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="With --dump: end after N events.")
@click.option("-c", "--camera", metavar="MODULE:CLASS", help="Let this camera take pictures of the cluster.")
@click.option(
    "-F", "--frequency", "--freq", type=float, default=1.0, show_default=True, metavar="S", help="Seconds between two."
)
@click.option("-r", "--maxrate", metavar="RATE", help="At most so many pictures: 10 (a second), 100/m, 5/h.")
@click.option("-l", "--loglevel", default="INFO", metavar="LEVEL", help="What the camera logs.")
@click.option("-f", "--logfile", metavar="FILE", help="Log to this file instead of standard error.")
@click.option("--pidfile", metavar="FILE", help="Write the process id here; refuse to start when its process lives.")
@click.pass_obj
def command(session: Session, /, **options: Any) -> int:
    """Watch workers, tasks and queues live in the terminal; with --dump or --camera, events in other ways.

    Workers tell of tasks when they were started with -E, or after `umbel control enable_events`; --enable does that here.
    In the monitor ? shows the keys.
    """
    if options["as_json"] or options["limit"]:
        options["dump"] = True
    if options["dump"] and options["camera"]:
        raise click.UsageError("expected --dump or --camera, got both")
    if options["camera"]:
        return _camera(session, options)
    if options["dump"]:
        return _dump(session, options)
    return _monitor(session, options)


def _monitor(session: Session, options: dict[str, Any]) -> int:
    app = session.app
    app.host.extensions(app)
    chosen = {name: options[name] for name in ("enable", "filter", "keep")}
    return app.host.monitor(app, {**chosen, "no_color": session.no_color})


def _dump(session: Session, options: dict[str, Any]) -> int:
    from umbel.events.dumper import evdump

    try:
        evdump(session.app, click.echo, as_json=options["as_json"], limit=options["limit"])
    except KeyboardInterrupt:
        click.echo()
    return 0


def _camera(session: Session, options: dict[str, Any]) -> int:
    import contextlib

    from umbel import log
    from umbel.events.snapshot import evcam, least_interval_s, load_camera
    from umbel.worker.pidfile import PidFile

    app = session.app
    camera = load_camera(options["camera"])
    least_interval_s(options["maxrate"])
    with contextlib.ExitStack() as stack:
        if options["pidfile"]:
            pid_file = PidFile(options["pidfile"])
            pid_file.acquire()
            stack.callback(pid_file.release)
        opened = log.setup_logging(app, log.parse_level(options["loglevel"]), options["logfile"], False)
        opened.restore_stdouts()  # what a camera prints is for whoever started it
        click.echo(f"-> evcam: Taking snapshots with {options['camera']} (every {options['frequency']:g} secs.)")
        try:
            evcam(camera, options["frequency"], options["maxrate"], app=app)
        except KeyboardInterrupt:
            click.echo()
    return 0
