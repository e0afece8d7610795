"""Connections to the server: a few for commands, lent to whichever thread asks, and their errors turned into ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from umbel.exceptions import BackendError
from umbel.urls import mask_url
from umbel_backend_redis.settings import RedisBackendSettings
from umbel_library_redis import Wire, errors
from umbel_library_redis.dialing import Dialer, check_version

__all__ = ["Connections"]


class Connections:
    """Lends out connections, each to one thread at a time. Thread-safe."""

    def __init__(self, url: str, settings: RedisBackendSettings) -> None:
        self.masked = mask_url(url)
        options: dict[str, Any] = {
            "socket_timeout": settings.socket_timeout,
            "socket_connect_timeout": settings.socket_connect_timeout,
            "socket_keepalive": settings.socket_keepalive,
            "protocol": 2,
        }
        if settings.client_name:
            options["client_name"] = settings.client_name
        self._dialer = Dialer(
            url,
            options,
            tls=settings.backend_use_ssl,
            master_name=settings.master_name,
            sentinel_kwargs=settings.sentinel_kwargs,
            key_prefix=settings.global_keyprefix,
        )
        self._idle: list[Wire] = []
        self._lock = threading.Lock()
        self._shas: dict[str, str] = {}
        self._connect_timeout_s = 4.0

    def open(self, timeout_s: float) -> None:
        """Make sure that the server answers within *timeout_s*."""
        self._connect_timeout_s = timeout_s
        with self.lent() as connection:
            try:
                wrong = check_version(self.call(connection, "INFO", "server"))
            except errors.ResponseError:  # not allowed to ask
                return
        if wrong:
            self.close()
            raise BackendError(f"{self.masked}: {wrong}")

    def new(self) -> Wire:
        """Return a connection of the caller's own."""
        return Wire(self._dialer.connect(self._connect_timeout_s))

    @contextlib.contextmanager
    def lent(self) -> Iterator[Wire]:
        """Lend a connection; one that failed is thrown away, and the failure raised as ``BackendError``."""
        try:
            connection = self._living() or self.new()
            try:
                yield connection
            except errors.ELSEWHERE:
                self._hang_up(connection)
                raise
            except errors.ResponseError:
                self._give_back(connection)
                raise
            except BaseException:
                self._hang_up(connection)
                raise
            self._give_back(connection)
        except (errors.RedisError, OSError) as error:
            text = str(error) or type(error).__name__
            raise BackendError(f"cannot use the Redis result store at {self.masked}: {text}") from error

    def _living(self) -> Wire | None:
        """Take an idle connection that the server has not closed: to a closed one there is something to read."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.socket is not None and not connection.has_input():
                return connection
            connection.close()

    def _give_back(self, connection: Wire) -> None:
        with self._lock:
            self._idle.append(connection)

    def _hang_up(self, connection: Wire) -> None:
        """Disconnect, the idle ones too: they lead to the same server."""
        connection.close()
        self.close()

    @staticmethod
    def call(connection: Wire, *command: Any) -> Any:
        """Send one command and return its answer."""
        return connection.call(*command)

    def run(self, connection: Wire, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Run a Lua script."""
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = self.call(connection, "SCRIPT", "LOAD", script).decode()
        try:
            return self.call(connection, "EVALSHA", sha, len(keys), *keys, *arguments)
        except errors.NoScriptError:
            del self._shas[script]
            return self.run(connection, script, keys, arguments)

    def run_many(
        self, connection: Wire, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]
    ) -> list[Any]:
        """Run a Lua script for each (keys, arguments) of *calls*, in one write; it must be harmless to run it again."""
        if len(calls) <= 1:
            return [self.run(connection, script, *call) for call in calls]
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = self.call(connection, "SCRIPT", "LOAD", script).decode()
        answers = connection.exchange([("EVALSHA", sha, len(keys), *keys, *arguments) for keys, arguments in calls])
        if any(isinstance(answer, errors.NoScriptError) for answer in answers):
            return [self.run(connection, script, *call) for call in calls]
        _raise_refusal(answers)
        return answers

    def transact(self, connection: Wire, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Run *commands* in one MULTI, in one write; raises when any of them fails."""
        said = connection.exchange([("MULTI",), *commands, ("EXEC",)])
        answers = said[-1]
        # Where it is no list it is a refusal too, which says less than what was refused before it.
        _raise_refusal(answers if isinstance(answers, list) else said)
        found: list[Any] = answers
        return found

    def close(self) -> None:
        """Disconnect what is not lent."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _raise_refusal(answers: Sequence[Any]) -> None:
    """Raise the first of *answers* that is a refusal."""
    for answer in answers:
        if isinstance(answer, errors.ResponseError):
            raise answer
