"""One connection to a Redis server, used by one thread, with the driver's errors turned into ours.

What is said goes past redis-py (:mod:`umbel_library_redis.wire`), since its client costs about 50 µs a command, and its
connection half of that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from umbel.exceptions import OperationalError, TransportError
from umbel.urls import mask_url
from umbel_library_redis import Wire, errors
from umbel_library_redis.dialing import Dialer, check_version
from umbel_transport_redis.settings import RedisTransportSettings

__all__ = ["Link"]


def _dialer(url: str, settings: RedisTransportSettings) -> Dialer:
    options: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout,
        "socket_connect_timeout": settings.socket_connect_timeout,
        "socket_keepalive": settings.socket_keepalive,
        "protocol": 2,
    }
    if settings.client_name:
        options["client_name"] = settings.client_name
    return Dialer(
        url,
        options,
        tls=settings.ssl,
        master_name=settings.master_name,
        sentinel_kwargs=settings.sentinel_kwargs,
        key_prefix=settings.global_keyprefix,
    )


class Link:
    """A connection and its scripts. Any failure of the network closes it and raises ``OperationalError``."""

    def __init__(self, url: str, settings: RedisTransportSettings, timeout_s: float) -> None:
        self._masked = mask_url(url)
        self._most_s = settings.socket_timeout
        self._shas: dict[str, str] = {}
        dialer = _dialer(url, settings)
        try:
            self._wire = Wire(dialer.connect(timeout_s))
        except (errors.RedisError, OSError) as error:
            raise self._translated(error, "connect to") from error

    def check_server(self) -> None:
        """Raise ``OperationalError`` for a server that is too old for our scripts."""
        try:
            wrong = check_version(self.ask("INFO", "server"))
        except errors.ResponseError:  # not allowed to ask
            return
        if wrong:
            self.close()
            raise OperationalError(f"{self._masked}: {wrong}")

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        return int(self._wire.socket.fileno())

    def limit(self, timeout_s: float) -> None:
        """Let each answer take *timeout_s* at most from now on, where the settings allow more."""
        self._wire.limit(min(timeout_s, self._most_s))

    @contextlib.contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Let each answer inside take *timeout_s* at most."""
        self.limit(timeout_s)
        try:
            yield
        finally:
            self.limit(self._most_s)

    def call(self, *command: Any) -> Any:
        """Send one command and return its answer."""
        try:
            return self.ask(*command)
        except errors.ResponseError as error:
            raise self._translated(error, "run a command on") from error

    def ask(self, *command: Any) -> Any:
        """Send one command and return its answer; a refusal is raised as the driver's ``ResponseError``."""
        try:
            return self._wire.call(*command)
        except errors.ResponseError as error:
            if isinstance(error, errors.ELSEWHERE):
                raise self._translated(error, "talk to") from error
            raise
        except (errors.RedisError, OSError) as error:
            self.close()
            raise self._translated(error, "talk to") from error

    def call_many(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send *commands* in one write; return their answers (an error answer is raised after all were read)."""
        try:
            return self._answers(commands)
        except errors.ResponseError as error:
            raise self._translated(error, "run a command on") from error

    def _answers(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Say *commands* and return their answers; the first refusal is raised as it is, after all were read."""
        try:
            answers = self._wire.exchange(commands)
        except (errors.RedisError, OSError) as error:
            self.close()
            raise self._translated(error, "talk to") from error
        for answer in answers:
            if isinstance(answer, errors.ResponseError):
                raise answer
        return answers

    def run(self, script: str, keys: Sequence[Any], arguments: Iterable[Any]) -> Any:
        """Run a Lua *script*, loading it the first time (and again when the server has forgotten it)."""
        return self.run_then(script, keys, arguments)[0]

    def run_then(self, script: str, keys: Sequence[Any], arguments: Iterable[Any], *then: Sequence[Any]) -> list[Any]:
        """Run a Lua *script*, and *then* some commands, in one write; return the answers of all.

        Without the script (the server has forgotten it) the commands are run too, twice.
        """
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = self.call("SCRIPT", "LOAD", script).decode()
        try:
            return self._answers([("EVALSHA", sha, len(keys), *keys, *arguments), *then])
        except errors.NoScriptError:
            del self._shas[script]
            return self.run_then(script, keys, arguments, *then)
        except errors.ResponseError as error:
            raise self._translated(error, "run a script on") from error

    def read(self) -> Any:
        """Read one pushed message (of a subscription) that is known to have arrived."""
        try:
            return self._wire.read()
        except (errors.RedisError, OSError) as error:
            self.close()
            raise self._translated(error, "listen to") from error

    def has_input(self) -> bool:
        """Say whether a pushed message can be read without waiting."""
        try:
            return self._wire.has_input()
        except (errors.RedisError, OSError) as error:
            self.close()
            raise self._translated(error, "listen to") from error

    def close(self) -> None:
        """Disconnect. May be called twice."""
        self._wire.close()

    def _translated(self, error: Exception, doing: str) -> Exception:
        text = str(error) or type(error).__name__
        if isinstance(error, errors.ELSEWHERE):
            self.close()
            text += "; it is not, or no longer, the one to write to"
        if isinstance(error, errors.AuthenticationError):
            text += "; check the user name and password in the URL"
        if isinstance(error, errors.OutOfMemoryError | errors.ReadOnlyError | errors.ResponseError):
            refused = (
                isinstance(error, errors.OutOfMemoryError) or "OOM" in text or "MISCONF" in text or "LOADING" in text
            )
            if not (refused or isinstance(error, (errors.ConnectionError, *errors.ELSEWHERE))):
                return TransportError(f"the Redis server at {self._masked} refused a command: {text}")
        return OperationalError(f"cannot {doing} the Redis server at {self._masked}: {text}")
