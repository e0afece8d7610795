"""The folders of a store, and everything that is done to them.

::

    queues/<queue>/<name>             a message that waits (see names.py)
    queues/<queue>/.stamp             its time changes whenever something was put there
    claims/<owner>/<queue>/<name>     a message that the consumer <owner> holds
    claims/<owner>/.alive             locked as long as the process of <owner> lives
    exchanges/*.json, .stamp          one file a binding
    new/                              files that are being written
    bell/                             the doorbell

Every step that must be whole is one rename. Nothing relies on clocks being equal, except what is delayed or expires.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from umbel.bindings import Bindings
from umbel.doorbell import Doorbell
from umbel.exceptions import OperationalError
from umbel.model import Exchange, Publication, Queue
from umbel_transport_filesystem.files import encode
from umbel_transport_filesystem.names import WaitingName, folder_name

__all__ = ["Store", "operational"]

#: Half-written files of the dead are swept away after this.
_STALE_S = 3600.0


@contextlib.contextmanager
def operational(root: str, doing: str) -> Iterator[None]:
    """Turn what the system says into an ``OperationalError`` that names the folder."""
    try:
        yield
    except OSError as error:
        raise OperationalError(
            f"cannot {doing} in the folder {root}: {error.strerror or error}; see that it exists, is writable and "
            "has room"
        ) from error


class Store:
    """The store in the folder *root*. One thread at a time uses it; any number of others, anywhere, use the folder."""

    def __init__(self, root: str, *, fsync: bool) -> None:
        self.root = root
        self.bell = Doorbell(os.path.join(root, "bell"))
        self._fsync = fsync
        self._token = os.urandom(6).hex()
        self._place = 0
        self._bindings = Bindings()
        self._topology_seen = -1
        self._declared: set[Queue] = set()

    def open(self) -> None:
        """Make the folders, and sweep away what was half-written long ago."""
        for name in ("queues", "claims", "exchanges", "new"):
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)
        before = time.time() - _STALE_S
        for entry in os.scandir(self.path("new")):
            with contextlib.suppress(OSError):
                if entry.stat().st_mtime < before:
                    shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

    def path(self, *names: str) -> str:
        """Return a path inside of the store."""
        return os.path.join(self.root, *names)

    def queue_path(self, folder: str) -> str:
        """Return the folder of what waits in the queue whose folder's name is *folder*."""
        return self.path("queues", folder)

    # -- topology -----------------------------------------------------------------------------------------------------

    def declare(self, queues: Sequence[Queue]) -> None:
        """Make *queues* and their bindings."""
        self._refresh()
        for queue in queues:
            self._declare(queue)

    def _declare(self, queue: Queue) -> None:
        if queue in self._declared:
            return
        os.makedirs(self.queue_path(folder_name(queue.name)), mode=0o700, exist_ok=True)
        for exchange, key in ((queue.exchange, queue.routing_key), *queue.bindings):
            if exchange.name and self._bind(queue, exchange, key):
                self._touch(self.path("exchanges"))
                self._refresh()
        if len(self._declared) < 1000:
            self._declared.add(queue)

    def _bind(self, queue: Queue, exchange: Exchange, key: str) -> bool:
        document = {
            "queue": queue.name,
            "exchange": exchange.name,
            "kind": exchange.kind,
            "key": key,
            "arguments": queue.binding_arguments,
        }
        identity = hashlib.sha256(f"{exchange.name}\0{queue.name}\0{key}".encode()).hexdigest()
        path = self.path("exchanges", f"{identity}.json")
        if os.path.exists(path):
            return False
        os.rename(self._write(json.dumps(document).encode()), path)
        return True

    def _refresh(self) -> None:
        """Read the bindings again if anybody changed them."""
        stamp = self.stamp(self.path("exchanges"))
        if stamp == self._topology_seen:
            return
        self._bindings = Bindings()
        self._declared = set()
        for document in self._binding_documents():
            self._bindings.declare(
                Queue(
                    name=document["queue"],
                    exchange=Exchange(name=document["exchange"], kind=document["kind"]),
                    routing_key=document["key"],
                    binding_arguments=document["arguments"],
                )
            )
        self._topology_seen = stamp

    def _binding_documents(self) -> Iterator[dict[str, Any]]:
        # In the order of declaration, for people's sake: copies are made in this order.
        entries = [entry for entry in os.scandir(self.path("exchanges")) if entry.name.endswith(".json")]
        for entry in sorted(entries, key=lambda one: one.stat().st_mtime_ns):
            with contextlib.suppress(FileNotFoundError), open(entry.path, encoding="utf-8") as file:
                yield {**json.load(file), "path": entry.path}

    def delete(self, queue: str) -> None:
        """Remove *queue*, what waits in it, and its bindings. What is held from it goes when it is settled."""
        for document in self._binding_documents():
            if document["queue"] == queue:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(document["path"])
        self._touch(self.path("exchanges"))
        trash = self.path("new", self._fresh())
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.queue_path(folder_name(queue)), trash)
            shutil.rmtree(trash)

    # -- what waits ---------------------------------------------------------------------------------------------------

    def publish(self, publications: Sequence[Publication]) -> None:
        """Write *publications*: nothing is visible before all are on the disk."""
        datas = [encode(publication) for publication in publications]
        self._refresh()
        steps: list[tuple[str, str, WaitingName]] = []
        try:
            for publication, data in zip(publications, datas, strict=True):
                name = self._name(publication)
                for queue in self._targets(publication):
                    steps.append((self._write(data), folder_name(queue), name))  # noqa: PERF401 what is written before a fault is removed
            self._reveal(steps)
        except OSError:
            for written, _, _ in steps:
                with contextlib.suppress(OSError):
                    os.unlink(written)
            raise
        self.changed({folder for _, folder, _ in steps})

    def put(self, path: str, folder: str, name: WaitingName) -> bool:
        """Move the file at *path* into a queue; say whether it was there. With its queue gone it is dropped."""
        try:
            os.rename(path, os.path.join(self.queue_path(folder), str(name)))
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return False
        return True

    def changed(self, folders: set[str]) -> None:
        """Tell everybody that something was put into the queues of *folders*."""
        for folder in folders:
            self._touch(self.queue_path(folder))
        self.bell.ring([f"q:{folder}" for folder in folders])

    def waiting(self, folder: str) -> list[str]:
        """Return the names of the files that wait in a queue."""
        try:
            with os.scandir(self.queue_path(folder)) as entries:
                return [entry.name for entry in entries if entry.name != ".stamp" and entry.is_file()]
        except FileNotFoundError:
            return []

    def purge(self, folder: str) -> int:
        """Drop what waits in a queue."""
        dropped = 0
        for name in self.waiting(folder):
            with contextlib.suppress(FileNotFoundError):  # claimed in between
                os.unlink(os.path.join(self.queue_path(folder), name))
                dropped += 1
        return dropped

    def stamp(self, folder: str) -> int:
        """Return a number that differs when something was put into *folder* since."""
        try:
            return os.stat(os.path.join(folder, ".stamp")).st_mtime_ns
        except FileNotFoundError:
            return 0

    # -- inner --------------------------------------------------------------------------------------------------------

    def _targets(self, publication: Publication) -> tuple[str, ...]:
        queue, key = publication.queue, publication.routing_key
        if queue is not None:
            self._declare(queue)
        names: tuple[str, ...] = ()
        if publication.exchange:
            names = self._bindings.route(publication.exchange, key, publication.message.headers)
        elif key and os.path.isdir(self.queue_path(folder_name(key))):
            names = (key,)  # the default exchange: the routing key is a queue's name
        if not names and queue is not None:
            names = (queue.name,)  # better in the queue that routing chose than lost
        return names

    def _name(self, publication: Publication) -> WaitingName:
        due = publication.deliver_at
        self._place = max(self._place + 1, time.time_ns())
        return WaitingName(
            priority=min(9, max(0, publication.priority or 0)),
            place=self._place,
            # Rounded up: not before its time.
            due_us=0 if due is None or due <= time.time() else int(due * 1e6) + 1,
            deliveries=0,
            token=self._token,
        )

    def put_file(self, data: bytes, path: str) -> None:
        """Write *data* to *path*, where it is seen as a whole or not at all."""
        os.rename(self._write(data), path)

    def _write(self, data: bytes) -> str:
        path = self.path("new", self._fresh())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if self._fsync:
                os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
        return path

    def _reveal(self, steps: Sequence[tuple[str, str, WaitingName]]) -> None:
        done: list[str] = []
        try:
            for written, queue, name in steps:
                target = os.path.join(self.queue_path(queue), str(name))
                _retry_in_folder(lambda: os.rename(written, target), os.path.dirname(target))  # noqa: B023
                done.append(target)
            if self._fsync:
                for folder in {os.path.dirname(target) for target in done}:
                    _sync_folder(folder)
        except OSError:
            for target in done:
                with contextlib.suppress(OSError):
                    os.unlink(target)
            raise

    def _fresh(self) -> str:
        return f"{self._token}-{os.urandom(8).hex()}"

    def _touch(self, folder: str) -> None:
        # Set by hand: the file system's own clock ticks every few milliseconds, too seldom to tell two changes apart.
        now = time.time_ns()
        path = os.path.join(folder, ".stamp")
        try:
            os.utime(path, ns=(now, now))
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):  # the queue was deleted
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                os.utime(path, ns=(now, now))


def _retry_in_folder(step: Callable[[], None], folder: str) -> None:
    """Run *step*; when its folder was removed by another process in between, make it again, once."""
    try:
        step()
    except FileNotFoundError:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        step()


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
