"""A small server of the standard library's, in threads of its own."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from umbel.exceptions import ImproperlyConfigured

__all__ = ["Answer", "NodeServer", "parse_address"]

logger = logging.getLogger("umbel.worker.http")

#: Status, content type, text.
Answer = tuple[HTTPStatus, str, str]

_REQUEST_TIMEOUT_S: Final = 5.0


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``:PORT`` (all addresses of this machine) or ``[IPV6]:PORT``."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdigit() or not 0 <= int(port) <= 65535 or ":" not in text:
        raise ImproperlyConfigured(f"expected HOST:PORT for the HTTP endpoint, such as 127.0.0.1:8080, got {text!r}")
    return host, int(port)


class NodeServer:
    """Answers GET requests for *pages* (path: what makes the answer), from :meth:`start` to :meth:`stop`."""

    def __init__(self, address: str, pages: Mapping[str, Callable[[], Answer]]) -> None:
        self._host, self._port = parse_address(address)
        self._address = address
        self._pages = pages
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port if self._server is None else int(self._server.server_address[1])

    def start(self) -> None:
        """Listen. Raises :class:`~umbel.exceptions.ImproperlyConfigured` when that is not possible."""
        pages = self._pages

        class Handler(_Handler):
            answers = pages

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            daemon_threads = True
            block_on_close = False

        try:
            self._server = Server((self._host, self._port), Handler)
        except (OSError, OverflowError) as error:
            raise ImproperlyConfigured(
                f"the HTTP endpoint cannot listen on {self._address}: {error}; choose another port (--http), or end the "
                "program that has it"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="umbel-http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Listen no more. May be called twice."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None and thread is not None:
            server.shutdown()
            server.server_close()
            thread.join(5.0)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    answers: Mapping[str, Callable[[], Answer]] = {}
    server_version = "umbel"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].rstrip("/") or "/"
        page = self.answers.get(path)
        if page is None:
            known = ", ".join(sorted(self.answers))
            answer: Answer = (HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"no such page; there are {known}\n")
        else:
            try:
                answer = page()
            except Exception:
                logger.exception("the page %s could not be made", path)
                answer = (HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "see the worker's log\n")
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        status, content_type, text = answer
        data = text.encode()
        with contextlib.suppress(ConnectionError, TimeoutError):  # whoever asked has gone
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the worker's log free of requests."""
        logger.debug(format, *args)
