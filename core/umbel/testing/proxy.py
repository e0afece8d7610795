"""A TCP proxy that breaks on demand, to stand between a plugin and its server in tests.

::

    with TcpProxy("127.0.0.1", 6379) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        proxy.cut()              # every connection is reset; new ones are let through
        with proxy.holding():    # connections are accepted, requests taken, nothing is answered
            ...
        with proxy.slow(latency_s=0.05, bytes_per_s=50_000):
            ...
        proxy.cutter = lambda passage: 7    # the next bytes are cut after the seventh

It makes ``cut_connection`` and ``slow_store`` of the suites one line each, for any server.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, NamedTuple, Self

__all__ = ["Passage", "TcpProxy"]

#: Closing resets the connection instead of ending it in good order.
_RESET: Final = struct.pack("ii", 1, 0)
_CHUNK: Final = 65536


class Passage(NamedTuple):
    """Bytes on their way through the proxy: *link* tells connections apart, *is_request* says that the client sent them."""

    link: int
    is_request: bool
    data: bytes


class TcpProxy:
    """Forwards connections on :attr:`port` of the loopback to *host*, *port*. Its methods may be called from any thread."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._is_closed = False
        self._closing = threading.Event()
        self._latency_s = 0.0
        self._bytes_per_s: float | None = None
        #: Asked for everything that passes, on the connection's own thread: ``None`` lets it through, a number forwards
        #: so many of its bytes and resets the connection then.
        self.cutter: Callable[[Passage], int | None] | None = None
        threading.Thread(target=self._accept, name="umbel-proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cut(self) -> int:
        """Reset every connection that there is; return how many that were. New ones are let through."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _reset(*pair)
        return len(pairs)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Forward nothing in either direction inside the ``with`` block; what came in meanwhile is forwarded after it."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextlib.contextmanager
    def slow(self, latency_s: float, bytes_per_s: float | None = None) -> Iterator[None]:
        """Hold up all that passes inside the ``with`` block: *latency_s* each time, and what the line's rate adds."""
        self._latency_s, self._bytes_per_s = latency_s, bytes_per_s
        try:
            yield
        finally:
            self._latency_s, self._bytes_per_s = 0.0, None

    def close(self) -> None:
        """Stop listening and reset every connection. May be called twice."""
        self._is_closed = True
        self._closing.set()
        self._flowing.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return  # closed
            try:
                far = socket.create_connection(self._target, 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.add((near, far))
            threading.Thread(target=self._forward, args=(near, far), name="umbel-proxy", daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        others = {near: far, far: near}
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError, ValueError):
            for end in others:
                selector.register(end, selectors.EVENT_READ)
            while not self._is_closed:
                for key, _ in selector.select(0.1):  # so that a cut is noticed
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(_CHUNK)
                    self._flowing.wait()
                    if not data:
                        return self._forget(near, far)
                    self._delay(len(data))
                    cut_at = self._cut_at(Passage(id(near), source is near, data))
                    others[source].sendall(data if cut_at is None else data[:cut_at])
                    if cut_at is not None:
                        return self._hang_up(near, far)
                if near.fileno() < 0:
                    return None
        return self._forget(near, far)

    def _delay(self, size: int) -> None:
        pause_s = self._latency_s + (size / self._bytes_per_s if self._bytes_per_s else 0.0)
        if pause_s:
            self._closing.wait(pause_s)

    def _cut_at(self, passage: Passage) -> int | None:
        return None if self.cutter is None else self.cutter(passage)

    def _hang_up(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            self._pairs.discard((near, far))
        _reset(near, far)

    def _forget(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            self._pairs.discard((near, far))
        near.close()
        far.close()


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.shutdown(socket.SHUT_RDWR)
        end.close()
