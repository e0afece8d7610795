"""Connections to the server: a few for commands, lent to whichever thread asks, and their errors turned into ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import redis
import redis.exceptions

from umbel.exceptions import BackendError
from umbel.urls import mask_url
from umbel_backend_redis.settings import RedisBackendSettings

__all__ = ["Connections"]


class Connections:
    """Lends out raw connections of redis-py (its client costs some 50 µs a command on top). Thread-safe."""

    def __init__(self, url: str, settings: RedisBackendSettings) -> None:
        spelled = "unix://" + url.removeprefix("redis+socket://") if url.startswith("redis+socket://") else url
        self._url = spelled.replace("virtual_host=", "db=")
        self.masked = mask_url(url)
        self._settings = settings
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._shas: dict[str, str] = {}
        self._connect_timeout_s = 4.0

    def open(self, timeout_s: float) -> None:
        """Make sure that the server answers within *timeout_s*."""
        self._connect_timeout_s = timeout_s
        with self.lent() as connection:
            self.call(connection, "PING")

    def new(self) -> Any:
        """Return a connection of the caller's own."""
        timeout_s = min(self._connect_timeout_s, self._settings.socket_connect_timeout or self._connect_timeout_s)
        pool = redis.ConnectionPool.from_url(
            self._url,
            protocol=2,
            socket_timeout=self._settings.socket_timeout,
            **({} if self._url.startswith("unix") else {"socket_connect_timeout": timeout_s}),
        )
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        return connection

    @contextlib.contextmanager
    def lent(self) -> Iterator[Any]:
        """Lend a connection; one that failed is thrown away, and the failure raised as ``BackendError``."""
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self.new()
            try:
                yield connection
            except redis.ResponseError:
                self._give_back(connection)
                raise
            except BaseException:
                connection.disconnect()
                raise
            self._give_back(connection)
        except (redis.RedisError, OSError) as error:
            text = str(error) or type(error).__name__
            raise BackendError(f"cannot use the Redis result store at {self.masked}: {text}") from error

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            self._idle.append(connection)

    @staticmethod
    def call(connection: Any, *command: Any) -> Any:
        """Send one command and return its answer."""
        connection.send_packed_command(connection.pack_command(*command), check_health=False)
        return connection.read_response()

    def run(self, connection: Any, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Run a Lua script."""
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = self.call(connection, "SCRIPT", "LOAD", script).decode()
        try:
            return self.call(connection, "EVALSHA", sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            del self._shas[script]
            return self.run(connection, script, keys, arguments)

    def transact(self, connection: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Run *commands* in one MULTI, in one write; raises when any of them fails."""
        packed = connection.pack_commands([("MULTI",), *commands, ("EXEC",)])
        connection.send_packed_command(packed, check_health=False)
        failure: redis.ResponseError | None = None
        for _ in range(len(commands) + 1):
            try:
                connection.read_response()
            except redis.ResponseError as error:
                failure = failure or error
        try:
            answers: list[Any] = connection.read_response()
        except redis.ResponseError as error:
            raise failure or error from None
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def close(self) -> None:
        """Disconnect what is not lent."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()
