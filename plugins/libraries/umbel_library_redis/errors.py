"""What a Redis server refuses and how a connection fails, under redis-py's names.

They are our own so that a plain connection needs no redis-py, whose import takes a second of CPU on a small machine; where
redis-py is used, its errors become these.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

__all__ = [
    "ELSEWHERE",
    "AskError",
    "AuthenticationError",
    "BusyLoadingError",
    "ClusterDownError",
    "ConnectionError",
    "InvalidResponse",
    "NoScriptError",
    "OutOfMemoryError",
    "ReadOnlyError",
    "RedisError",
    "ResponseError",
    "TimeoutError",
    "TryAgainError",
    "as_error",
    "driver_errors",
]


class RedisError(Exception):
    """Any of these."""


class ConnectionError(RedisError):
    """The connection cannot be made, or is lost."""


class TimeoutError(RedisError):
    """The server has not answered in time."""


class AuthenticationError(ConnectionError):
    """The user name or the password is wrong, or missing."""


class BusyLoadingError(ConnectionError):
    """The server still reads its data."""


class InvalidResponse(RedisError):
    """What came is no answer of a Redis."""


class ResponseError(RedisError):
    """The server has refused a command."""


class NoScriptError(ResponseError):
    """The server does not know the script, or has forgotten it."""


class OutOfMemoryError(ResponseError):
    """The server has no room for more."""


class ReadOnlyError(ResponseError):
    """The server is a replica."""


class AskError(ResponseError):
    """Another node of the cluster has the key (``ASK`` and ``MOVED``)."""


class TryAgainError(ResponseError):
    """The key is on its way from one node to another."""


class ClusterDownError(ResponseError):
    """The cluster is not complete."""


#: Answers of a server that is not, or no longer, the one to talk to: hang up, and ask again who is.
ELSEWHERE: Final = (AskError, ClusterDownError, TryAgainError, ReadOnlyError)

_BY_CODE: Final[dict[str, type[RedisError]]] = {
    "ERR": ResponseError,
    "OOM": OutOfMemoryError,
    "WRONGPASS": AuthenticationError,
    "NOAUTH": AuthenticationError,
    "LOADING": BusyLoadingError,
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
    "ASK": AskError,
    "MOVED": AskError,
    "TRYAGAIN": TryAgainError,
    "CLUSTERDOWN": ClusterDownError,
    "MASTERDOWN": ClusterDownError,
}
#: Refusals with the code ``ERR`` that are about who asks and how, by how they begin.
_BY_TEXT: Final[dict[str, type[RedisError]]] = {
    "max number of clients reached": ConnectionError,
    "invalid password": AuthenticationError,
    "Client sent AUTH, but no password is set": AuthenticationError,
    "AUTH <password> called without any password configured": AuthenticationError,
}


def as_error(answer: str) -> RedisError:
    """Return the error that an answer with a leading minus means."""
    code, _, text = answer.partition(" ")
    kind = _BY_CODE.get(code)
    if kind is None:
        return ResponseError(answer)
    if code == "ERR":
        kind = next((known for start, known in _BY_TEXT.items() if text.startswith(start)), kind)
    return kind(text)


@contextlib.contextmanager
def driver_errors() -> Iterator[None]:
    """Raise what redis-py raises inside as the error of the same name here, or of its nearest base that there is."""
    try:
        yield
    except Exception as error:
        driver = sys.modules.get("redis.exceptions")
        if driver is None or not isinstance(error, driver.RedisError):
            raise
        names = [kind.__name__ for kind in type(error).__mro__]
        raise next(globals()[name] for name in names if name in __all__)(*error.args) from error
