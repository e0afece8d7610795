"""A plain connection (TCP, or a Unix socket) that needs no redis-py: a program that sends one question starts at once."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Final

import hiredis

from umbel_library_redis.errors import (
    AuthenticationError,
    ConnectionError,
    InvalidResponse,
    RedisError,
    ResponseError,
    as_error,
)

__all__ = ["Direct"]

_RECEIVE_BYTES = 4096
#: For CLIENT LIST; servers before 7.2 refuse it, which is an answer as well.
_NAME: Final = ("CLIENT", "SETINFO", "LIB-NAME", "umbel")


class Direct:
    """Connects, authenticates and selects the database. It has the few names of redis-py's ``Connection`` that are used.

    The options are redis-py's. Raises the errors of :mod:`umbel_library_redis.errors` and ``OSError``.
    """

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 6379,
        path: str = "",
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        client_name: str | None = None,
        socket_timeout: float | None = None,
        socket_connect_timeout: float | None = None,
        socket_keepalive: bool = False,
        protocol: int = 2,
    ) -> None:
        self._sock: socket.socket | None = None
        self._pid = os.getpid()
        self.socket_timeout = socket_timeout
        self._connect_timeout_s = socket_connect_timeout or socket_timeout
        self._host, self._port, self._path = host, port, path
        self._keepalive = socket_keepalive
        self._greeting: list[tuple[Any, ...]] = []
        if password or username:
            self._greeting.append(("AUTH", username, password or "") if username else ("AUTH", password or ""))
        self._greeting.append(_NAME)
        if client_name:
            self._greeting.append(("CLIENT", "SETNAME", client_name))
        if db:
            self._greeting.append(("SELECT", db))

    def __del__(self) -> None:
        self.disconnect()

    def connect(self) -> None:
        """Connect, unless that is done."""
        if self._sock is not None:
            return
        self._pid = os.getpid()
        sock = self._sock = self._opened()
        try:
            sock.settimeout(self.socket_timeout)
            self._greet(sock)
        except BaseException:
            self.disconnect()
            raise

    def _greet(self, sock: socket.socket) -> None:
        """Say who this is, all in one write; on return the server is known to answer."""
        sock.sendall(b"".join(map(hiredis.pack_command, self._greeting)))
        reader = hiredis.Reader(protocolError=InvalidResponse, replyError=as_error)
        for command in self._greeting:
            answer: Any = reader.gets()
            while answer is False:
                data = sock.recv(_RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("Connection closed by server.")
                reader.feed(data)
                answer = reader.gets()
            if isinstance(answer, RedisError):
                _check(command, answer)

    def _opened(self) -> socket.socket:
        if self._path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(self._connect_timeout_s)
                sock.connect(self._path)
            except BaseException:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((self._host, self._port), self._connect_timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def disconnect(self) -> None:
        """Close the connection; nothing happens when it is closed."""
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._pid == os.getpid():  # in a fork it is still the parent's
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def _check(command: tuple[Any, ...], answer: RedisError) -> None:
    if command[0] == "AUTH":
        raise AuthenticationError(*answer.args)
    if command is not _NAME or not isinstance(answer, ResponseError):
        raise answer
