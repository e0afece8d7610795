"""How a Redis is reached: by TCP, TLS or a Unix socket, as the master that sentinels name, as the node of a cluster.

Whatever the way, what comes out is one plain connection to one server: who that server is, is asked anew each time. It is made
here where that is simple (no TLS, no options in the URL), else by redis-py, which is imported for that alone.
"""

from __future__ import annotations

import binascii
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from umbel.exceptions import ImproperlyConfigured
from umbel.urls import mask_url, parse_url, split_urls
from umbel_library_redis import errors
from umbel_library_redis.wire import DIRECT, Wire

__all__ = ["Dialer", "check_version", "database_of", "identity_of"]

_OLDEST: Final = (6, 2)
_SOCKET: Final = "redis+socket://"
_SENTINEL: Final = "sentinel"
_PORTS: Final = {_SENTINEL: 26379}
_SLOTS: Final = 16384
#: What may stand behind the question mark of a URL that needs no redis-py.
_SIMPLE: Final = frozenset({"db", "virtual_host"})


def _plain_url(url: str) -> str:
    """Return the first of *url* in redis-py's spelling, with one host."""
    first = split_urls(url)[0]
    if first.startswith(_SOCKET):  # redis+socket:///path?virtual_host=1 is its unix:///path?db=1
        return "unix://" + first.removeprefix(_SOCKET).replace("virtual_host=", "db=")
    parsed = parse_url(first)
    host, port = parsed.hosts[0] if parsed.hosts else (None, None)
    scheme = "rediss" if parsed.name == "rediss" else "redis"
    return attrs.evolve(parsed, scheme=scheme, hostname=host or None, port=port).geturl()


def _addresses(url: str) -> list[tuple[str, int]]:
    """Return every host and port that *url* names, in ``;`` or in ``,``."""
    found = []
    for part in split_urls(url):
        parsed = parse_url(part)
        standard = _PORTS.get(parsed.scheme, 6379)
        found += [(host or "localhost", port or standard) for host, port in parsed.hosts or (("localhost", None),)]
    return found


def database_of(url: str) -> int:
    """Return the number of the database that *url* names (0 when it names none)."""
    parts = urlsplit(_plain_url(url))
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    number = path or parse_qs(parts.query).get("db", ["0"])[0]
    if not number.isdecimal():
        raise ImproperlyConfigured(
            f"expected the number of a database after the host, got {number!r} in {mask_url(url)}; write for example /0"
        )
    return int(number)


def identity_of(url: str, master_name: str | None, key_prefix: str) -> str:
    """Name the server and database that *url* means: equal for transport and result store of the same one."""
    plain = urlsplit(_plain_url(url))
    scheme = urlsplit(split_urls(url)[0]).scheme
    place = plain.path if plain.scheme == "unix" else "{}:{}".format(*_addresses(url)[0])
    kind = f"master {master_name} of" if scheme == _SENTINEL else "slot of" if scheme.endswith("+cluster") else "at"
    slot = f" {_slot_of(key_prefix)}" if scheme.endswith("+cluster") else ""
    return f"redis {kind} {plain.username or ''}@{place}/{database_of(url)}{slot}"


def _slot_of(key_prefix: str) -> int:
    """Return the slot of the keys that begin so: the CRC of what stands in the first pair of braces, if anything does."""
    key = key_prefix.encode()
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return binascii.crc_hqx(tag if opened and closed and tag else key, 0) % _SLOTS


def _tls_options(given: Any, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return redis-py's options for TLS; *given* is Celery's ``broker_use_ssl`` or ``redis_backend_use_ssl``."""
    import ssl  # where TLS is used alone

    verifying = {
        spelling: ssl.VerifyMode[f"CERT_{mode}"]
        for mode in ("NONE", "OPTIONAL", "REQUIRED")
        for spelling in (f"CERT_{mode}", mode.lower())
    }
    named = dict(given) if isinstance(given, Mapping) else {}
    named = {name if name.startswith("ssl_") else f"ssl_{name}": value for name, value in named.items()}
    options = {"ssl_check_hostname": True, **named, **query}
    mode = options.get("ssl_cert_reqs", "required")
    if isinstance(mode, str):
        if mode not in verifying:
            raise ImproperlyConfigured(f"expected ssl_cert_reqs to be one of {', '.join(verifying)}, got {mode!r}")
        mode = verifying[mode]
    options["ssl_cert_reqs"] = ssl.CERT_NONE if mode is None else mode
    if isinstance(options["ssl_check_hostname"], str):
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in ("false", "0", "no")
    return options


class Dialer:
    """Connects to what a URL means. Making one checks the URL and connects to nothing; thread-safe.

    *options* are redis-py's for a connection; *tls* is ``True``, or a mapping of options of TLS. Raises
    :class:`~umbel.exceptions.ImproperlyConfigured` for a URL that cannot be meant.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        tls: Any = None,
        master_name: str | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
        key_prefix: str = "",
    ) -> None:
        self.masked = mask_url(url)
        self._scheme = urlsplit(split_urls(url)[0]).scheme
        self._addresses = [] if url.startswith(_SOCKET) else _addresses(url)
        self._master_name = master_name or ""
        self._sentinel_kwargs = sentinel_kwargs
        self._key_prefix = key_prefix
        self._database = database_of(url)
        self._is_path = self._scheme == "redis+socket"
        self._kind, self._options = self._understood(_plain_url(url), dict(options), tls)
        if self._scheme == _SENTINEL and not master_name:
            raise ImproperlyConfigured(
                "sentinel:// needs the name of its master: set broker_transport_options (and for results "
                "result_backend_transport_options) = {'master_name': '...'}"
            )
        if self._scheme.endswith("+cluster"):
            self._check_cluster(self._database)

    def _understood(self, plain: str, options: dict[str, Any], tls: Any) -> tuple[Any, dict[str, Any]]:
        if DIRECT is not None and not tls:
            named = self._simple(plain)
            if named is not None:
                if "path" in named:
                    options.pop("socket_keepalive", None)
                return DIRECT, {**options, **named}
        import redis.connection  # heavy, and for what is not simple alone

        try:
            named = dict(redis.connection.parse_url(plain))
        except ValueError as error:
            raise ImproperlyConfigured(f"{self.masked}: {error}") from error
        kind: Any = named.pop("connection_class", redis.Connection)
        query = {name: named.pop(name) for name in [name for name in named if name.startswith("ssl_")]}
        if kind is redis.UnixDomainSocketConnection:
            for name in ("socket_keepalive", "socket_connect_timeout"):
                options.pop(name, None)
        elif kind is redis.SSLConnection or tls or (query and self._scheme == _SENTINEL):
            kind = redis.SSLConnection
            options.update(_tls_options(tls, query))
        elif query:
            raise ImproperlyConfigured(
                f"{self.masked} has options of TLS ({', '.join(query)}) and is not encrypted: write rediss://"
            )
        return kind, {**options, **named}

    def _simple(self, plain: str) -> dict[str, Any] | None:
        """Return what the URL says, where it says nothing that needs redis-py."""
        parts = urlsplit(plain)
        if parts.scheme == "rediss" or not _SIMPLE.issuperset(parse_qs(parts.query)):
            return None
        try:
            port = parts.port
        except ValueError as error:
            raise ImproperlyConfigured(f"{self.masked}: {error}") from error
        named: dict[str, Any] = {"db": self._database}
        if parts.username or parts.password:
            named["username"] = unquote(parts.username) if parts.username else None
            named["password"] = unquote(parts.password) if parts.password else None
        if parts.scheme == "unix":
            return {**named, "path": unquote(parts.path)}
        return {**named, "host": unquote(parts.hostname or "localhost"), "port": port or 6379}

    def _check_cluster(self, database: int) -> None:
        tag = self._key_prefix.partition("{")[2].partition("}")
        if not (tag[0] and tag[1]):
            raise ImproperlyConfigured(
                f"{self.masked}: in a Redis Cluster all keys of an application must lie in one slot, since its scripts "
                f"touch several at once: set global_keyprefix to a name in braces, for example '{{shop}}', got "
                f"{self._key_prefix!r}"
            )
        if database:
            raise ImproperlyConfigured(f"{self.masked}: a Redis Cluster has database 0 alone, got {database}")

    # -- connecting -----------------------------------------------------------------------------------------------

    def connect(self, timeout_s: float) -> Any:
        """Return a new connection, made within *timeout_s* for each address that is tried. Raises ``RedisError``."""
        options = dict(self._options)
        if not self._is_path:
            options["socket_connect_timeout"] = min(timeout_s, options.get("socket_connect_timeout") or timeout_s)
        if self._scheme == _SENTINEL:
            options["host"], options["port"] = self._find_master(timeout_s)
        elif self._scheme.endswith("+cluster"):
            options["host"], options["port"] = self._find_node(options, timeout_s)
        return self._connected(options, timeout_s)

    def _connected(self, options: Mapping[str, Any], timeout_s: float) -> Any:
        connection: Any = self._kind(**options)
        try:
            # The greeting (TLS, AUTH, SELECT) is bounded as the connecting is; afterwards what was set holds.
            patience = connection.socket_timeout
            connection.socket_timeout = min(timeout_s, patience or timeout_s)
            with errors.driver_errors():
                connection.connect()
            connection.socket_timeout = patience
            connection._sock.settimeout(patience)
            if self._kind is not DIRECT:
                connection._parser.on_connect(connection)  # it keeps a time-out of its own
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _find_master(self, timeout_s: float) -> tuple[str, int]:
        import redis.sentinel  # heavy, and for this alone

        patience = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        asking = {**patience, **(self._sentinel_kwargs or {})}
        sentinel: Any = redis.sentinel.Sentinel(self._addresses, sentinel_kwargs=asking)
        try:
            with errors.driver_errors():
                host, port = sentinel.discover_master(self._master_name)
        finally:
            for client in sentinel.sentinels:
                client.close()
        return host, int(port)

    def _find_node(self, options: Mapping[str, Any], timeout_s: float) -> tuple[str, int]:
        """Ask one node after another which of them has the slot of our keys."""
        slot = _slot_of(self._key_prefix)
        failure: Exception = errors.ConnectionError("no node of the cluster was named")
        deadline = time.monotonic() + timeout_s
        for host, port in self._addresses:
            try:
                left_s = max(0.05, deadline - time.monotonic())
                connection = self._connected({**options, "host": host, "port": port}, left_s)
                try:
                    ranges = Wire(connection).call("CLUSTER", "SLOTS")
                finally:
                    connection.disconnect()
            except (errors.RedisError, OSError) as error:
                failure = error
                continue
            for first, last, master, *_ in ranges:
                if first <= slot <= last:
                    return (master[0].decode() if master[0] else host), int(master[1])
            failure = errors.ConnectionError(f"no node has the slot {slot} of our keys: the cluster is not complete")
        raise failure


def check_version(info: bytes | str) -> str | None:
    """Return what is wrong with a server that answered *info* to ``INFO server``; ``None``: nothing."""
    text = info.decode(errors="replace") if isinstance(info, bytes) else info
    version = next((line[14:] for line in text.splitlines() if line.startswith("redis_version:")), "")
    numbers = version.split(".")
    if len(numbers) < 2 or not (numbers[0].isdecimal() and numbers[1].isdecimal()):
        return None  # it does not say: its commands will tell
    if (int(numbers[0]), int(numbers[1])) >= _OLDEST:
        return None
    return f"expected Redis 6.2 or later, or Valkey, got Redis {version}: upgrade the server"
