"""``umbel parked``: messages that could not be run."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from umbel.cli.session import Session
from umbel.model import Delivery, Queue, Settlement

if TYPE_CHECKING:
    from umbel.spi import Consumer, Transport

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command"]

_PORTION = 200


@click.group("parked")
def command() -> None:
    """List, show, requeue or drop messages that could not be run.

    They lie in the queue NAME.parked beside each queue NAME, with the reason.
    """


_queues = click.option("-Q", "--queues", metavar="A,B", help="Parked from these queues; default: all that are known.")


@contextlib.contextmanager
def _parked(session: Session, queues: str | None) -> Iterator[tuple[Transport, Consumer, Sequence[Queue]]]:
    """Open a consumer of the parked queues; what it holds and does not settle goes back at the end, uncounted."""
    from umbel.worker.parking import parked_queue

    app = session.app
    app.import_modules()
    if queues:
        app.queues.select(queues)
    chosen = [parked_queue(queue.name) for queue in app.queues.consume_from.values()]
    with contextlib.closing(app.open_transport()) as transport:
        transport.declare(chosen)
        with contextlib.closing(transport.consume(chosen, 0, "umbel-parked")) as consumer:
            yield transport, consumer, chosen


def _all(transport: Transport, consumer: Consumer, queues: Sequence[Queue]) -> list[Delivery]:
    """Take every message there is at this moment."""
    left = sum(transport.count([queue.name for queue in queues]))
    found: list[Delivery] = []
    while left > 0:
        deliveries = consumer.receive(min(left, _PORTION), 0.5)
        if not deliveries:
            break
        found.extend(deliveries)
        left -= len(deliveries)
    return found


def _chosen(found: Sequence[Delivery], ids: Sequence[str], everything: bool) -> list[Delivery]:
    from umbel.worker.parking import parked_info

    if everything:
        return list(found)
    chosen = [delivery for delivery in found if any(parked_info(delivery).task_id.startswith(each) for each in ids)]
    for each in ids:
        if not any(parked_info(delivery).task_id.startswith(each) for delivery in chosen):
            raise click.ClickException(
                f"no parked message has an id that begins with {each!r}; see 'umbel parked list'"
            )
    return chosen


@command.command("list")
@_queues
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def _list(session: Session, queues: str | None, as_json: bool) -> int:
    """List what is parked: id, task, queue, reason, when."""
    import attrs

    from umbel.worker.parking import parked_info

    with _parked(session, queues) as (transport, consumer, chosen):
        infos = [parked_info(delivery) for delivery in _all(transport, consumer, chosen)]
    for info in sorted(infos, key=lambda each: each.at):
        if as_json:
            click.echo(json.dumps(attrs.asdict(info)))
        else:
            when = dt.datetime.fromtimestamp(info.at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
            error = info.error.splitlines()[0][:100] if info.error else ""
            click.echo(f"{info.task_id or '(no id)'}  {info.name or '?'}  {info.queue}  {info.reason}  {when}  {error}")
    if not infos and not as_json:
        click.echo("Nothing is parked.")
    return 0


@command.command("show")
@_queues
@click.argument("task_id")
@click.pass_obj
def _show(session: Session, queues: str | None, task_id: str) -> int:
    """Show one parked message whole: headers, properties, body."""
    with _parked(session, queues) as (transport, consumer, chosen):
        for delivery in _chosen(_all(transport, consumer, chosen), [task_id], False):
            _print_message(delivery)
    return 0


def _print_message(delivery: Delivery) -> None:
    message = delivery.message
    for title, fields in (("headers", message.headers), ("properties", message.properties)):
        click.echo(f"{title}:")
        for name, value in sorted(fields.items()):
            click.echo(f"  {name}: {_text(value)}")
    click.echo(f"content type: {message.content_type} ({message.content_encoding})")
    click.echo(f"body ({len(message.body)} bytes):")
    body = message.body[:4000].decode("utf-8", "backslashreplace")
    click.echo("  " + body + (" ..." if len(message.body) > 4000 else ""))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)


@command.command("requeue")
@_queues
@click.option("--all", "everything", is_flag=True, help="All that is parked.")
@click.option("--to", metavar="QUEUE", help="Into this queue instead of the one it came from.")
@click.argument("task_ids", nargs=-1)
@click.pass_obj
def _requeue(session: Session, queues: str | None, everything: bool, to: str | None, task_ids: tuple[str, ...]) -> int:
    """Put parked messages back, to be tried again from the beginning."""
    from umbel.worker.parking import unparked

    _need_choice(task_ids, everything)
    target = session.app.queues.find(to) if to else None
    timeout_s = session.app.conf.task_publish_timeout_s
    with _parked(session, queues) as (transport, consumer, chosen):
        deliveries = _chosen(_all(transport, consumer, chosen), task_ids, everything)
        for first in range(0, len(deliveries), _PORTION):
            portion = deliveries[first : first + _PORTION]
            transport.publish([unparked(delivery, target) for delivery in portion], timeout_s)
            consumer.settle(Settlement(acks=portion))
    click.echo(f"Requeued {len(deliveries)} message{'s' * (len(deliveries) != 1)}.")
    return 0


@command.command("drop")
@_queues
@click.option("--all", "everything", is_flag=True, help="All that is parked.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.argument("task_ids", nargs=-1)
@click.pass_obj
def _drop(session: Session, queues: str | None, everything: bool, force: bool, task_ids: tuple[str, ...]) -> int:
    """Delete parked messages. There is no way back."""
    _need_choice(task_ids, everything)
    if not force:
        click.confirm("Delete these messages? This cannot be undone", abort=True)
    with _parked(session, queues) as (transport, consumer, chosen):
        deliveries = _chosen(_all(transport, consumer, chosen), task_ids, everything)
        consumer.settle(Settlement(acks=deliveries))
    click.echo(f"Dropped {len(deliveries)} message{'s' * (len(deliveries) != 1)}.")
    return 0


def _need_choice(task_ids: Sequence[str], everything: bool) -> None:
    if bool(task_ids) == everything:
        raise click.UsageError("name the ids (their beginnings are enough), or give --all")
