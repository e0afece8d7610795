"""The node's own socket: the same commands, without a broker."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from umbel.control.local import check_folder, socket_folder, socket_path
from umbel.exceptions import InvalidControlMessage, UmbelError
from umbel.worker.control.answers import failed, plain

__all__ = ["ControlSocket"]

logger = logging.getLogger("umbel.worker.control")

_LONGEST_REQUEST_BYTES = 16 << 20
_PATIENCE_S = 5.0


class ControlSocket:
    """Listens for *node* of *broker* and gives each request, (method, arguments), to *obey*. Only its user can reach it."""

    def __init__(self, broker: str, node: str, obey: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self.path = socket_path(broker, node)
        self._node = node
        self._obey = obey
        self._listening: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._inode = 0

    def start(self) -> bool:
        """Begin to listen; say whether that was possible. It never keeps a worker from starting."""
        try:
            listening = self._bind()
        except (OSError, UmbelError) as error:
            logger.warning("no control socket: %s", error)
            return False
        self._listening = listening
        self._inode = os.stat(self.path).st_ino
        self._thread = threading.Thread(target=self._serve, args=(listening,), name="umbel-socket", daemon=True)
        self._thread.start()
        return True

    def _bind(self) -> socket.socket:
        folder = socket_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        check_folder(folder)
        self._clear_stale()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(self.path)
            os.chmod(self.path, 0o600)
            listening.listen(16)
        except BaseException:
            listening.close()
            raise
        return listening

    def _clear_stale(self) -> None:
        """Remove what a dead worker has left; raises where somebody listens, or where it is no socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(self.path)
            except FileNotFoundError:
                return
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
            except OSError as error:
                raise UmbelError(f"{self.path} is there and is no socket of ours ({error}); remove it") from error
        raise UmbelError(
            f"another worker listens at {self.path}: it has the name {self._node} and the same broker; give each worker "
            "a name of its own (-n NAME@%h)"
        )

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop listening and remove the socket. May be called twice, and from a command."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_ino == self._inode:  # not that of a successor
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _serve(self, listening: socket.socket) -> None:
        while self._listening is not None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            # Each in a thread of its own: who connects and says nothing keeps nobody else from it.
            threading.Thread(target=self._answer, args=(connection,), name="umbel-socket-call", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_PATIENCE_S)
            try:
                method, arguments = _request(connection)
            except (ValueError, UmbelError) as error:
                answer: Any = failed(f"expected one line of JSON, {{method, arguments}}: {error}")
            else:
                answer = self._obey(method, arguments)
            reply = {"node": self._node, "pid": os.getpid(), "answer": plain(answer)}
            connection.sendall(json.dumps(reply).encode() + b"\n")


def _request(connection: socket.socket) -> tuple[str, dict[str, Any]]:
    data = bytearray()
    while not data.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        data += chunk
        if len(data) > _LONGEST_REQUEST_BYTES:
            raise InvalidControlMessage(f"more than {_LONGEST_REQUEST_BYTES} bytes")
    request = json.loads(data)
    if not isinstance(request, dict):
        raise InvalidControlMessage(f"got {type(request).__name__}")
    method, arguments = request.get("method"), request.get("arguments") or {}
    if not isinstance(method, str) or not isinstance(arguments, dict):
        raise InvalidControlMessage(f"got method {method!r:.50} and arguments {type(arguments).__name__}")
    return method, arguments
