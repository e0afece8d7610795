"""Who holds claims, and whether he still lives.

The owner of claims is a folder with a file that its process has locked (``lockf``): the system lets go of the lock when
the process ends, however it ends, and a forked child does not inherit it. So death is seen at once and needs no clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from typing import Final

import attrs

from umbel_transport_filesystem.names import WaitingName, folder_name
from umbel_transport_filesystem.store import Store

__all__ = ["CHECK_S", "Owner", "free_the_dead"]

#: How often waiting consumers look for dead owners.
CHECK_S: Final = 1.0
#: Begins the names of files in an owner's folder that name queues of the kind ``auto_delete``.
_LEAVES: Final = ".leaves-"

#: The owners of this process, which must not test their own locks: closing the file would let go of them. Keyed with
#: the process id, since a forked child inherits the table and none of the locks.
_living: Final[weakref.WeakValueDictionary[tuple[int, str], Owner]] = weakref.WeakValueDictionary()


class Owner:
    """The folder of one consumer's claims, alive until :meth:`close` or the end of the process."""

    def __init__(self, store: Store) -> None:
        self.name = os.urandom(8).hex()
        self._store = store
        # Locked before it can be seen, so that nobody takes it for dead.
        hidden = store.path("new", self.name)
        os.mkdir(hidden, 0o700)
        descriptor = os.open(os.path.join(hidden, ".alive"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A consumer that was thrown away without being closed is dead as well.
        self._unlock = weakref.finalize(self, os.close, descriptor)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _living[os.getpid(), self.name] = self
        os.rename(hidden, self.path())

    def path(self, *names: str) -> str:
        """Return a path inside of this owner's folder."""
        return self._store.path("claims", self.name, *names)

    def held(self) -> int:
        """Count what is held, on the disk: others may have settled some of it."""
        return sum(len(os.listdir(entry.path)) for entry in os.scandir(self.path()) if entry.is_dir())

    def leaves_with(self, queue: str) -> None:
        """Note that *queue* is to be deleted when this owner is found dead."""
        with open(self.path(_LEAVES + folder_name(queue)), "w", encoding="utf-8") as file:
            file.write(queue)

    def close(self) -> None:
        """Give back everything, uncounted, and be gone."""
        _give_back(self._store, self.path(), counted=False)
        _living.pop((os.getpid(), self.name), None)
        self._unlock()


def free_the_dead(store: Store) -> None:
    """Give back what dead owners held, counted."""
    claims = store.path("claims")
    for name in os.listdir(claims):
        if (os.getpid(), name) in _living:
            continue
        folder = os.path.join(claims, name)
        try:
            descriptor = os.open(os.path.join(folder, ".alive"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Given back by another process just now, or left half removed by one that was killed while doing so.
            if time.time() - _changed_at(folder) > CHECK_S:
                _give_back(store, folder, counted=True)
            continue
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # alive, or another process is just doing this
        else:
            _give_back(store, folder, counted=True)
        finally:
            os.close(descriptor)


def _changed_at(folder: str) -> float:
    try:
        return os.stat(folder).st_mtime
    except FileNotFoundError:
        return time.time()


def _give_back(store: Store, folder: str, *, counted: bool) -> None:
    freed: set[str] = set()
    with contextlib.suppress(FileNotFoundError):  # another process does the same
        for queue_folder in [entry for entry in os.scandir(folder) if entry.is_dir()]:
            for file_name in os.listdir(queue_folder.path):
                name = WaitingName.parse(file_name)
                back = attrs.evolve(name, deliveries=max(0, name.deliveries - (0 if counted else 1)))
                if store.put(os.path.join(queue_folder.path, file_name), queue_folder.name, back):
                    freed.add(queue_folder.name)
            with contextlib.suppress(OSError):
                os.rmdir(queue_folder.path)
        _delete_what_leaves(store, folder, is_dead=counted)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, ".alive"))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    if freed:
        store.changed(freed)


def _delete_what_leaves(store: Store, folder: str, *, is_dead: bool) -> None:
    """Delete the queues that go with their consumer; one that closes in good order does it itself."""
    for entry in [entry for entry in os.scandir(folder) if entry.name.startswith(_LEAVES)]:
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            if is_dead:
                with open(entry.path, encoding="utf-8") as file:
                    store.delete(file.read())
            os.unlink(entry.path)
