"""``umbel purge``: drop what waits in queues."""

from __future__ import annotations

import contextlib

import click

from umbel.cli.session import Session

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command"]


@click.command("purge")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-Q", "--queues", metavar="A,B", help="Only these queues.")
@click.option("-X", "--exclude-queues", metavar="A,B", help="All queues but these.")
@click.pass_obj
def command(session: Session, force: bool, queues: str | None, exclude_queues: str | None) -> int:
    """Drop the messages that wait in the application's queues. There is no way back.

    Messages that a worker has taken already are not dropped.
    """
    from umbel.worker.options import choose_queues

    app = session.app
    app.import_modules()
    chosen = choose_queues(app, "", queues, exclude_queues)
    names = [queue.name for queue in chosen]
    if not force:
        click.confirm(f"Drop all messages that wait in {', '.join(names)}? This cannot be undone", abort=True)
    with contextlib.closing(app.open_transport()) as transport:
        transport.declare(chosen)
        count = sum(transport.purge(name) for name in names)
    noun = "queue" if len(names) == 1 else "queues"
    if count:
        click.echo(f"Purged {count} message{'s' * (count != 1)} from {len(names)} {noun}.")
    else:
        click.echo(f"No messages purged from {len(names)} {noun}.")
    return 0
