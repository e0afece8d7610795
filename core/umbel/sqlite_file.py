"""Opens an SQLite file as a store that many processes share.

For the plugins of the scheme ``sqlite``, which know nothing of each other and yet write into one file, in one
transaction: where the file is, how a connection is set up, how versions of tables follow each other, and what to tell
a user when something is wrong.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs

from umbel.exceptions import ImproperlyConfigured
from umbel.suggestions import suggest

__all__ = ["Connection", "SqliteFile", "default_path", "explain", "migrate", "transaction"]

T = TypeVar("T")

_SYNCHRONOUS: Final = ("off", "normal", "full", "extra")
#: The write-ahead log is moved into the file when it has so many pages (of 4 KiB); larger means fewer waits for the disk.
_CHECKPOINT_PAGES: Final = 4000
_LOG_LIMIT_BYTES: Final = 64 << 20
_CACHE_KIB: Final = 8192
#: Another's lock is waited for in short pauses of our own. SQLite's begin at 1 ms, longer than most transactions take.
_PAUSE_MIN_S: Final = 0.00005
_PAUSE_MAX_S: Final = 0.002

#: Connections of this process. In a forked child they must be neither used nor closed, which garbage collection would do.
_connections: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
os.register_at_fork(after_in_child=lambda: _inherited.extend(_connections))

#: Held while a file is opened and looked at. Where a wrong file is replaced by the right one, a thread that still looks at
#: the wrong one would otherwise take the log of the right one for its own, cut it, and the other connections with it:
#: SQLite's locks between processes do not see that (https://sqlite.org/howtocorrupt.html, sections 2.2 and 2.4).
_connecting = threading.Lock()
os.register_at_fork(before=_connecting.acquire, after_in_parent=_connecting.release, after_in_child=_connecting.release)


class Connection(sqlite3.Connection):
    """A connection that knows the process that opened it, and how long it may wait for the locks of others."""

    pid = 0
    timeout_s = 5.0

    @property
    def is_inherited(self) -> bool:
        """Whether it came through a fork: to be neither used nor closed."""
        return self.pid != os.getpid()

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a SELECT. Even reading may meet a lock: when a log is recovered, or its file closed."""
        return self.retrying(lambda: self.execute(statement, values).fetchall())

    def retrying(self, action: Callable[[], T], timeout_s: float | None = None) -> T:
        """Return what *action* returns, called again while another connection has the lock. It must have no effect then."""
        bound_s = self.timeout_s if timeout_s is None else timeout_s
        give_up = 0.0
        pause_s = _PAUSE_MIN_S
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                now = time.monotonic()
                give_up = give_up or now + bound_s
                if now >= give_up:
                    raise
            time.sleep(random.uniform(0.5, 1) * pause_s)
            pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)


@attrs.frozen
class SqliteFile:
    """Which file, and how it is opened. Made from a URL; nothing is touched before :meth:`connect`.

    *synchronous* is SQLite's pragma: ``normal`` survives every crash of a process, ``full`` also a loss of power.
    *busy_timeout_s* is how long a write waits for the locks of others. *lease_s* is for transports.
    """

    path: str
    synchronous: str = "normal"
    busy_timeout_s: float = 5.0
    lease_s: float = 10.0
    is_default: bool = False

    @classmethod
    def from_url(cls, url: str, name: str | None = None) -> SqliteFile:
        """Read ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``sqlite://``, the default file of app *name*.

        Options follow a question mark: ``?synchronous=full&busy_timeout_s=10&lease_s=30``.
        Raises :class:`~umbel.exceptions.ImproperlyConfigured`.
        """
        location, _, query = url.partition("?")
        rest = location.partition("://")[2]
        if rest and not rest.startswith("/"):
            raise ImproperlyConfigured(
                f"expected sqlite:///relative/path, sqlite:////absolute/path or sqlite://, got {location!r}: "
                "an SQLite file has no host"
            )
        path = urllib.parse.unquote(rest[1:])
        if path == ":memory:":
            raise ImproperlyConfigured("an SQLite database in memory is seen by one connection only; use memory://")
        options = _options(query)
        if path:
            return cls(os.path.abspath(path), **options)
        return cls(default_path(name), is_default=True, **options)

    @property
    def identity(self) -> str:
        """The name of the store, the same for every way to write its path."""
        return f"sqlite:{os.path.realpath(self.path)}"

    @property
    def bell_directory(self) -> str:
        """Where the doorbell of this store is."""
        return f"{os.path.realpath(self.path)}-bell"

    def connect(self, timeout_s: float | None = None) -> Connection:
        """Open the file, making it when it is missing, readable for this user alone. Raises ``sqlite3.Error``.

        One thread of a process at a time.
        """
        if self.is_default:
            with contextlib.suppress(OSError):  # opening will say it better
                os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        with contextlib.suppress(OSError):
            # Made here for its mode: SQLite's own would be 0644; its side files take the mode of the file.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with _connecting:
            connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False, factory=Connection
            )
            connection.pid = os.getpid()
            connection.timeout_s = self.busy_timeout_s
            _connections.add(connection)
            try:
                connection.retrying(lambda: self._set_up(connection), timeout_s)
            except BaseException:
                connection.close()
                raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        # Changing the mode of a file that has it already needs no lock, and asking first none either.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self.synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_LOG_LIMIT_BYTES}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        # Some builds overwrite what is deleted with zeros, at a quarter of the speed.
        connection.execute("PRAGMA secure_delete=OFF")


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if name == "synchronous":
            if value.lower() not in _SYNCHRONOUS:
                raise ImproperlyConfigured(
                    f"expected synchronous to be one of {', '.join(_SYNCHRONOUS)}, got {value!r}"
                )
            options[name] = value.lower()
        elif name in {"busy_timeout_s", "lease_s"}:
            options[name] = _positive(name, value)
        else:
            known = ("synchronous", "busy_timeout_s", "lease_s")
            raise ImproperlyConfigured(f"unknown option {name!r} in an sqlite:// URL{suggest(name, known)}")
    return options


def _positive(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ImproperlyConfigured(f"expected {name} to be a positive number of seconds, got {value!r}")
    return number


def default_path(name: str | None) -> str:
    """Return the file of the application *name*: ``<state directory>/umbel/<name>.db``.

    The state directory is ``$UMBEL_HOME``, else ``$XDG_STATE_HOME``, else ``~/.local/state``.
    """
    state = os.environ.get("UMBEL_HOME") or os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    file_name = re.sub(r"[^\w.-]", "_", name or "default")
    return os.path.join(os.path.abspath(os.path.expanduser(state)), "umbel", f"{file_name}.db")


@contextlib.contextmanager
def transaction(connection: Connection, timeout_s: float | None = None) -> Iterator[Connection]:
    """Hold the write lock: committed when the block ends, rolled back when it raises."""
    connection.retrying(lambda: connection.execute("BEGIN IMMEDIATE"), timeout_s)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # After some errors (a full disk) SQLite has rolled back by itself.
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def migrate(connection: Connection, component: str, scripts: Sequence[str], timeout_s: float | None = None) -> None:
    """Bring the tables of *component* to the newest version: ``scripts[n]`` makes version ``n + 1`` of version ``n``.

    Each component has its own version, since plugins that share a file know nothing of each other. Raises
    ``sqlite3.DatabaseError`` when the file was written by a newer Umbel.
    """
    if _version(connection, component) == len(scripts):
        return
    with transaction(connection, timeout_s):
        connection.execute("CREATE TABLE IF NOT EXISTS umbel_versions (component TEXT PRIMARY KEY, version INTEGER)")
        version = _version(connection, component)
        if version > len(scripts):
            raise sqlite3.DatabaseError(
                f"the tables of {component!r} have version {version}, this Umbel knows {len(scripts)}: "
                "use the newer Umbel, or another file"
            )
        for script in scripts[version:]:
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)
        connection.execute("INSERT OR REPLACE INTO umbel_versions VALUES (?, ?)", (component, len(scripts)))


def _version(connection: Connection, component: str) -> int:
    if not connection.read("SELECT 1 FROM sqlite_master WHERE name = 'umbel_versions'"):
        return 0
    rows = connection.read("SELECT version FROM umbel_versions WHERE component = ?", (component,))
    return int(rows[0][0]) if rows else 0


_CURES: Final = {
    sqlite3.SQLITE_BUSY: "another process has held its write lock for too long; look for a program that has the file "
    "open in a transaction, or raise busy_timeout_s in the URL",
    sqlite3.SQLITE_LOCKED: "it is locked by this process; this is a fault in Umbel, please report it",
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this was written: free some space and try again",
    sqlite3.SQLITE_READONLY: "the file or its folder cannot be written; give this user write access to both, or choose "
    "another path in the URL",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; stop all workers, save what can be saved with "
    "'sqlite3 FILE .recover | sqlite3 NEW', and move the old file away",
    sqlite3.SQLITE_NOTADB: "this is not an SQLite database; the URL may name the wrong file",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; see that its folder exists and that this user may write there",
    sqlite3.SQLITE_PERM: "access is denied; give this user read and write access to the file and its folder",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should; see that it is not full, and that it is a local one "
    "(SQLite's write-ahead log does not work over a network)",
    sqlite3.SQLITE_TOOBIG: "a message or result is larger than SQLite can hold (1 GB); store the data elsewhere and "
    "send its address",
}


def explain(error: sqlite3.Error, path: str) -> str:
    """Return one sentence for the user: which file, what is wrong, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    cure = _CURES.get(code)
    return f"SQLite file {path}: {error}: {cure}" if cure else f"SQLite file {path}: {error}"
