from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from umbel.testing.proxy import Passage, TcpProxy


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that answers what it is sent."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            while data := link.recv(4096):
                link.sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5)


def test_it_forwards_both_ways(echo_port: int) -> None:
    with TcpProxy("127.0.0.1", echo_port) as proxy, connect(proxy.port) as link:
        link.sendall(b"hello")
        assert link.recv(10) == b"hello"


def test_a_cut_resets_what_there_is_and_lets_new_ones_through(echo_port: int) -> None:
    with TcpProxy("127.0.0.1", echo_port) as proxy:
        with connect(proxy.port) as link:
            link.sendall(b"x")
            assert link.recv(1) == b"x"
            assert proxy.cut() == 1
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(1) == b""
        with connect(proxy.port) as again:
            again.sendall(b"y")
            assert again.recv(1) == b"y"


def test_what_is_held_back_comes_afterwards(echo_port: int) -> None:
    with TcpProxy("127.0.0.1", echo_port) as proxy, connect(proxy.port) as link:
        with proxy.holding():
            link.sendall(b"later")
            link.settimeout(0.2)
            with pytest.raises(TimeoutError):
                link.recv(10)
        link.settimeout(5)
        assert link.recv(10) == b"later"


def test_a_server_that_is_gone_closes_the_connection(echo_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with TcpProxy("127.0.0.1", port) as proxy, connect(proxy.port) as link:
        assert link.recv(1) == b""


def test_a_cutter_resets_in_the_middle_of_what_passes(echo_port: int) -> None:
    seen: list[Passage] = []

    def cut(passage: Passage) -> int | None:
        seen.append(passage)
        return None if passage.is_request else 2

    with TcpProxy("127.0.0.1", echo_port) as proxy, connect(proxy.port) as link:
        proxy.cutter = cut
        link.sendall(b"hello")
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while data := link.recv(10):
                got += data
        assert b"he".startswith(got)  # a reset may overtake what was sent before it
        assert [passage.data for passage in seen] == [b"hello", b"hello"]
        proxy.cutter = None
        with connect(proxy.port) as again:
            again.sendall(b"y")
            assert again.recv(1) == b"y"


def test_a_slow_line_is_slow_and_loses_nothing(echo_port: int) -> None:
    with TcpProxy("127.0.0.1", echo_port) as proxy, connect(proxy.port) as link:
        started = time.monotonic()
        with proxy.slow(latency_s=0.05, bytes_per_s=100):
            link.sendall(b"slowly")
            assert link.recv(10) == b"slowly"
        assert time.monotonic() - started >= 2 * (0.05 + 6 / 100)
