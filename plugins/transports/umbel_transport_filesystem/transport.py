"""A connection to a folder, and its consumers."""

from __future__ import annotations

import math
import os
import time
import urllib.parse
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import attrs

from umbel.exceptions import DecodeError, ImproperlyConfigured, OperationalError
from umbel.model import Delivery, Message, Publication, Queue, Settlement
from umbel.spi import Consumer, Revocation, RevocationStore, Transport, TransportCapabilities
from umbel_transport_filesystem import revocations as revoking
from umbel_transport_filesystem.files import decode
from umbel_transport_filesystem.leases import CHECK_S, Owner, free_the_dead
from umbel_transport_filesystem.names import WaitingName, folder_name
from umbel_transport_filesystem.store import Store, operational

__all__ = ["CAPABILITIES", "FilesystemConsumer", "FilesystemTransport"]

CAPABILITIES = TransportCapabilities(
    fanout=True,
    keeps_broadcasts=True,
    priorities=True,
    delayed_delivery=True,
    counts_delayed=True,
    durable=True,
    many_processes=True,
    leases=True,
    counts_deliveries=True,
    settle_from_any_connection=True,
    expires_messages=True,
    umbel_only=True,
    exchange_kinds=frozenset({"direct", "topic", "fanout", "headers"}),
)


def _read_url(url: str) -> tuple[str, bool]:
    """Return the folder and whether to sync to the disk."""
    parts = urllib.parse.urlsplit(url)
    root = urllib.parse.unquote(parts.netloc + parts.path)
    if not root.strip("/"):
        raise ImproperlyConfigured(
            f"expected a folder in the broker URL, got {url!r}: write filesystem:///absolute/folder, or "
            "filesystem://folder for one beside the working directory"
        )
    options = dict(urllib.parse.parse_qsl(parts.query))
    fsync = options.pop("fsync", "false").lower()
    if options or fsync not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"expected no option but fsync=true or fsync=false in {url!r}, got {parts.query!r}")
    return os.path.abspath(os.path.expanduser(root)), fsync in {"true", "1"}


class FilesystemTransport(Transport, RevocationStore):
    """A connection to the folder that *url* names, which is made when it is opened."""

    capabilities = CAPABILITIES

    def __init__(self, url: str) -> None:
        self.root, self._fsync = _read_url(url)
        self._store: Store | None = None

    def open(self, timeout_s: float) -> None:
        if self._store is None:
            store = Store(self.root, fsync=self._fsync)
            with operational(self.root, "open the broker"):
                store.open()
            self._store = store

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.bell.close()

    def declare(self, queues: Sequence[Queue]) -> None:
        with operational(self.root, "declare queues"):
            self._opened().declare(queues)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        with operational(self.root, "publish"):
            self._opened().publish(publications)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> FilesystemConsumer:
        self._opened()
        return FilesystemConsumer(self.root, queues, prefetch, fsync=self._fsync)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        with operational(self.root, "count messages"):
            return [len(self._opened().waiting(folder_name(queue))) for queue in queues]

    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        store = self._opened()
        with operational(self.root, "revoke tasks"):
            revoking.write(store.path("revoked"), store.put_file, revocations, expires_s)

    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        with operational(self.root, "read what is revoked"):
            return revoking.read(self._opened().path("revoked"), cursor)

    def purge(self, queue: str) -> int:
        with operational(self.root, "purge a queue"):
            return self._opened().purge(folder_name(queue))

    def delete(self, queue: str) -> None:
        with operational(self.root, "delete a queue"):
            self._opened().delete(queue)

    def settle(self, settlement: Settlement) -> None:
        with operational(self.root, "settle"):
            _settle(self._opened(), settlement)

    def _opened(self) -> Store:
        if self._store is None:
            raise OperationalError(
                f"expected the broker in {self.root} to be open, got used before open() or after close()"
            )
        return self._store


class _View:
    """What one consumer knows of a queue's folder: its listing, sorted, until something is put there."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self.queue = queue
        self.folder = folder_name(queue.name)
        self._store = store
        self._seen = -1
        self._ready: list[tuple[int, int, str]] = []
        self._later: list[tuple[int, int, int, str]] = []

    def next(self) -> tuple[str, WaitingName] | None:
        """Return the file to claim next; others may have been quicker."""
        now_us = int(time.time() * 1e6)
        while self._later and self._later[0][0] <= now_us:
            heappush(self._ready, heappop(self._later)[1:])
        if not self._ready:
            return None
        file_name = heappop(self._ready)[2]
        return file_name, WaitingName.parse(file_name)

    def refresh(self) -> None:
        """Look into the folder, if something was put there since."""
        # Read before the listing: what comes between the two is seen now, and looked for once more.
        stamp = self._store.stamp(self._store.queue_path(self.folder))
        if stamp == self._seen and stamp:
            return
        self._seen = stamp
        self._ready, self._later = [], []
        for file_name in self._store.waiting(self.folder):
            name = WaitingName.parse(file_name)
            rank = 9 - name.priority
            if name.due_us:
                self._later.append((name.due_us, rank, name.place, file_name))
            else:
                self._ready.append((rank, name.place, file_name))
        self._ready.sort()  # a sorted list is a heap
        self._later.sort()

    def next_due_s(self) -> float:
        """Return in how many seconds the next delayed message is due."""
        return max(0.0, self._later[0][0] / 1e6 - time.time()) if self._later else math.inf


class FilesystemConsumer(Consumer):
    """Takes files out of queues' folders into a folder of its own."""

    def __init__(self, root: str, queues: Sequence[Queue], prefetch: int, *, fsync: bool) -> None:
        # A store of its own: the consumer and its transport may be used by two threads.
        self._store = Store(root, fsync=fsync)
        self._prefetch = prefetch
        self._views: dict[str, _View] = {}
        self._held: set[tuple[str, str]] = set()
        self._turn = 0
        self._checked_at = -math.inf
        self._is_woken = False
        self._is_closed = False
        with operational(root, "consume"):
            self._owner = Owner(self._store)
        self._listener = self._store.bell.listen()
        for queue in queues:
            self.add_queue(queue)

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        deadline = time.monotonic() + timeout_s
        with operational(self._store.root, "receive"):
            while not self._is_closed:
                if deliveries := self._take(limit):
                    self._is_woken = False
                    return deliveries
                self._listener.arm()
                # What was put there, and who called wake(), before the arming is seen here.
                if deliveries := self._take(limit):
                    self._listener.disarm()
                    self._is_woken = False
                    return deliveries
                left_s = deadline - time.monotonic()
                if self._is_woken or left_s <= 0:
                    break
                self._listener.wait(min(left_s, CHECK_S, *(view.next_due_s() for view in self._views.values())))
            self._listener.disarm()
            self._is_woken = False
            return []

    def settle(self, settlement: Settlement) -> None:
        with operational(self._store.root, "settle"):
            _settle(self._store, settlement)
        for delivery in (*settlement.acks, *settlement.rejects, *settlement.requeues):
            if isinstance(delivery.tag, _Tag):
                self._held.discard((delivery.tag.folder, delivery.tag.file_name))

    def extend(self) -> None:
        pass  # the lease is a lock that the system holds as long as the process lives

    def wake(self) -> None:
        self._is_woken = True
        self._listener.wake()

    def add_queue(self, queue: Queue) -> None:
        if queue.name in self._views:
            return
        with operational(self._store.root, "add a queue"):
            self._store.declare([queue])
            view = _View(self._store, queue)
            os.makedirs(self._owner.path(view.folder), mode=0o700, exist_ok=True)
            if queue.auto_delete:
                self._owner.leaves_with(queue.name)
        self._views[queue.name] = view
        self._listen()

    def cancel_queue(self, name: str) -> None:
        view = self._views.pop(name, None)
        self._listen()
        if view is not None and view.queue.auto_delete:
            with operational(self._store.root, "delete a queue"):
                self._store.delete(name)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._listener.close()
        with operational(self._store.root, "close a consumer"):
            self._owner.close()
            for view in self._views.values():
                if view.queue.auto_delete:
                    self._store.delete(view.queue.name)
        self._store.bell.close()

    def _listen(self) -> None:
        topics = [f"q:{view.folder}" for view in self._views.values()]
        if self._prefetch:  # the room that another connection makes by settling is worth a look
            topics.append(f"o:{self._owner.name}")
        self._listener.listen_to(topics)

    def _take(self, limit: int) -> list[Delivery]:
        if time.monotonic() - self._checked_at > CHECK_S:
            self._checked_at = time.monotonic()
            free_the_dead(self._store)
        if self._prefetch:
            limit = min(limit, self._prefetch - self._owner.held())
        deliveries: list[Delivery] = []
        # Another queue comes first each time, so that a full one does not starve the others.
        views = list(self._views.values())
        self._turn += 1
        for number in range(len(views)):
            view = views[(self._turn + number) % len(views)]
            view.refresh()
            while len(deliveries) < limit and (found := view.next()) is not None:
                delivery = self._claim(view, *found)
                if delivery is not None:
                    deliveries.append(delivery)
        return deliveries

    def _claim(self, view: _View, file_name: str, name: WaitingName) -> Delivery | None:
        claimed = attrs.evolve(name, due_us=0, deliveries=name.deliveries + 1)
        tag = _Tag(self._owner.name, view.folder, str(claimed))
        path = tag.path(self._store)
        try:
            os.rename(os.path.join(self._store.queue_path(view.folder), file_name), path)
        except FileNotFoundError:
            return None  # another consumer was quicker
        delivery = _read(path, tag, view.queue.name, claimed)
        if delivery is None:
            os.unlink(path)
        return delivery


@attrs.frozen
class _Tag:
    """Where a held message lies. It has left there when the claim is stale."""

    owner: str
    folder: str
    file_name: str

    def path(self, store: Store) -> str:
        return store.path("claims", self.owner, self.folder, self.file_name)


def _read(path: str, tag: _Tag, queue: str, name: WaitingName) -> Delivery | None:
    """Return the delivery of the claimed file; ``None`` when it is past its expiry."""
    with open(path, "rb") as file:
        data = file.read()
    redelivered = name.deliveries > 1
    try:
        message, exchange, routing_key, expires_at = decode(data)
    except DecodeError as error:
        message = Message(data, content_type="application/octet-stream", content_encoding="binary")
        return Delivery(message, queue, tag, "", "", name.priority, name.deliveries, redelivered, str(error))
    if expires_at is not None and expires_at <= time.time():
        return None
    return Delivery(message, queue, tag, exchange, routing_key, name.priority, name.deliveries, redelivered)


def _settle(store: Store, settlement: Settlement) -> None:
    owners: set[str] = set()
    for delivery in (*settlement.acks, *settlement.rejects):
        if isinstance(delivery.tag, _Tag):
            owners.add(delivery.tag.owner)
            try:
                os.unlink(delivery.tag.path(store))
            except FileNotFoundError:
                continue  # stale: it is another's by now, or gone
    changed: set[str] = set()
    due = settlement.requeue_at
    due_us = 0 if due is None or due <= time.time() else int(due * 1e6) + 1
    for delivery in settlement.requeues:
        if isinstance(delivery.tag, _Tag):
            owners.add(delivery.tag.owner)
            name = WaitingName.parse(delivery.tag.file_name)
            deliveries = name.deliveries - 1 if settlement.uncounted else name.deliveries
            back = attrs.evolve(name, due_us=due_us, deliveries=deliveries)
            if store.put(delivery.tag.path(store), delivery.tag.folder, back):
                changed.add(delivery.tag.folder)
    store.changed(changed)
    store.bell.ring([f"o:{owner}" for owner in owners])
