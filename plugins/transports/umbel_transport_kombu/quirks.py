"""Where kombu's own transports fall short of the contract, and what is done about it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from queue import Empty
from typing import Any, Final

from kombu.transport import virtual
from kombu.transport.virtual.exchange import TopicExchange
from kombu.utils.json import dumps, loads

__all__ = [
    "Garbage",
    "adapt",
    "forget_inherited_engines",
    "is_unknown_queue",
    "leave",
    "one_transaction",
    "probe",
    "purge",
    "rest",
    "set_wait",
]


class Garbage(ValueError):
    """Raised for a stored message that is none; its first argument is the bytes that were found."""


class AmqpTopicExchange(TopicExchange):
    """Matches as AMQP says: ``#`` is any number of words, also none, so that ``task.#`` is reached by ``task``."""

    def lookup(self, table: Any, exchange: str, routing_key: str, default: Any) -> set[str]:
        """Look at the keys of the bindings; the patterns beside them are kombu's, for Celery."""
        return {queue for key, _, queue in table if _topic(key).fullmatch(_dotted(routing_key))}


def _topic(key: str) -> re.Pattern[str]:
    found = ""
    for word in key.split("."):
        if word == "#":
            found += r"(?:\.[^.]*)*"
        else:
            found += r"\." + (r"[^.]*" if word == "*" else re.escape(word))
    return re.compile(found)


def _dotted(routing_key: str) -> str:
    return f".{routing_key}"


_serials: Final = itertools.count()


def _file_part(queue: str) -> str:
    """Return *queue* as it stands in a file's name: as kombu writes it, but for what a name of a file cannot have."""
    return queue.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")


def _filesystem_channel(kind: Any) -> Any:
    class OrderedChannel(kind):  # type: ignore[misc]
        """Keeps the order of messages of one millisecond, takes names with a ``/`` in them, and tells of garbage.

        The names of files stay such that kombu's own channel reads them.
        """

        def _put(self, queue: str, payload: Any, **_: Any) -> None:
            order = f"{round(time.monotonic() * 1000)}_{next(_serials):012}{uuid.uuid4().hex[:12]}"
            name = f"{order}.{_file_part(queue)}.msg"
            # Written beside and moved into place: kombu's own may be read half-written.
            partial = os.path.join(self.data_folder_out, f".{order}.partial")
            with open(partial, "wb") as file:
                file.write(dumps(payload).encode())
            os.replace(partial, os.path.join(self.data_folder_out, name))

        def _get(self, queue: str) -> Any:
            for name in sorted(os.listdir(self.data_folder_in)):
                if name.partition(".")[2] != f"{_file_part(queue)}.msg":
                    continue
                folder = self.processed_folder if self.store_processed else tempfile.gettempdir()
                source, target = os.path.join(self.data_folder_in, name), os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):  # another was quicker
                    _move(source, target)
                    with open(target, "rb") as file:
                        data = file.read()
                    if not self.store_processed:
                        os.remove(target)
                    try:
                        return loads(data.decode())
                    except ValueError as error:
                        raise Garbage(data) from error
            raise Empty

        def _size(self, queue: str) -> int:
            return int(super()._size(_file_part(queue)))

        def _purge(self, queue: str) -> int:
            return int(super()._purge(_file_part(queue)))

    return OrderedChannel


def _move(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):  # another file system: claimed by a name of its own there
            claimed = f"{source}.{os.getpid()}.claimed"
            os.rename(source, claimed)
            with open(claimed, "rb") as file, open(target, "wb") as copy:
                copy.write(file.read())
            os.remove(claimed)
            return
        raise


def adapt(transport: Any) -> None:
    """Prepare kombu's *transport* before its first channel is made."""
    if isinstance(transport, virtual.Transport):
        kind: Any = transport.Channel
        if kind.__module__ == "kombu.transport.filesystem":
            kind = _filesystem_channel(kind)
        types = {**kind.exchange_types, "topic": AmqpTopicExchange}
        transport.Channel = type(kind.__name__, (kind,), {"exchange_types": types})  # type: ignore[assignment]


def probe(channel: Any) -> None:
    """Use the connection once, where making a channel does not."""
    if hasattr(type(channel), "session"):  # of SQLAlchemy
        _ = channel.session


def rest(channel: Any) -> None:
    """End the transaction that a mere look has begun: it would hold locks for as long as nothing else is asked."""
    if hasattr(type(channel), "session") and channel._session is not None:
        channel._session.commit()


@contextlib.contextmanager
def one_transaction(channel: Any) -> Iterator[None]:
    """Put everything inside at once, or nothing, into an SQL database, where kombu would commit each message."""
    if not hasattr(type(channel), "session"):
        yield
        return
    session = channel.session
    session.commit()
    session.commit = session.flush
    try:
        yield
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.commit
    session.commit()


def purge(channel: Any, queue: str) -> int:
    """Drop what waits. (On SQS kombu asks up to ten times, and SQS refuses the second within a minute.)"""
    if not _is_sqs(channel):
        return int(channel.queue_purge(queue=queue) or 0)
    size = int(channel._size(queue))
    if size:
        channel.sqs(queue=queue).purge_queue(QueueUrl=channel._new_queue(queue))
    return size


def is_unknown_queue(channel: Any, error: Exception) -> bool:
    """Say whether *error* says that there is no such queue."""
    return _is_sqs(channel) and type(error).__name__ == "DoesNotExistQueueException"


def _is_sqs(channel: Any) -> bool:
    return any(kind.__module__ == "kombu.transport.SQS" for kind in type(channel).__mro__)


def leave(channel: Any) -> None:
    """Let go of what closing a channel leaves open."""
    if hasattr(type(channel), "session") and channel._session is not None:
        channel._session.close()


def set_wait(channel: Any, seconds: int) -> bool:
    """Say how long the broker may hold the next request (SQS, Azure); whether this one can."""
    if not hasattr(type(channel), "wait_time_seconds"):
        return False
    channel.__dict__["wait_time_seconds"] = seconds
    return True


def forget_inherited_engines() -> None:
    """Let a forked child make connections of its own: kombu keeps SQLAlchemy's for the whole process."""
    module: Any = sys.modules.get("kombu.transport.sqlalchemy")
    if module is not None:
        for engine, _ in module.Channel._engines.values():
            engine.dispose(close=False)
        module.Channel._engines.clear()


os.register_at_fork(after_in_child=forget_inherited_engines)
