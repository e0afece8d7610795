"""Talking to the nodes of this machine through their sockets: no broker takes part.

A node's socket lies in a folder of its user's, under ``$XDG_RUNTIME_DIR`` or else the folder for temporary files. One
request is a line of JSON, ``{"method": ..., "arguments": {...}}``, and its answer another, ``{"node": ..., "pid": ...,
"answer": ...}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from umbel.control.replies import Replies
from umbel.exceptions import InvalidControlMessage, UmbelError

__all__ = ["SUFFIX", "ask_local_nodes", "ask_socket", "check_folder", "local_sockets", "socket_folder", "socket_path"]

SUFFIX: Final = ".sock"
_LONGEST_PATH: Final = 100  # the system takes 107 bytes
_LONGEST_ANSWER_BYTES: Final = 256 << 20


def socket_folder() -> str:
    """Return the folder of this user's sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return os.path.join(runtime, "umbel")
    return os.path.join(tempfile.gettempdir(), f"umbel-{os.getuid()}")


def check_folder(folder: str) -> None:
    """Raise :class:`~umbel.exceptions.UmbelError` unless *folder* is this user's alone: what is in it is trusted."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UmbelError(
            f"expected {folder} to be a folder that belongs to user {os.getuid()} and that nobody else can enter; "
            "remove it, or set XDG_RUNTIME_DIR"
        )


def socket_path(broker: str, node: str) -> str:
    """Return where the socket of *node* at *broker* lies."""
    digest = hashlib.sha256(f"{broker}\n{node}".encode()).hexdigest()[:12]
    path = os.path.join(socket_folder(), f"{node}-{digest}{SUFFIX}".replace("/", "_"))
    if len(os.fsencode(path)) > _LONGEST_PATH:
        path = os.path.join(socket_folder(), f"{digest}{SUFFIX}")
    return path


def ask_socket(path: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return the whole answer of the node behind *path*. Raises ``OSError``, and for what is no answer
    ``ValueError`` or :class:`~umbel.exceptions.InvalidControlMessage`.
    """
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        connection.sendall(json.dumps({"method": method, "arguments": dict(arguments)}).encode() + b"\n")
        data = bytearray()
        while not data.endswith(b"\n"):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = connection.recv(1 << 16)
            if not chunk or len(data) > _LONGEST_ANSWER_BYTES:
                raise InvalidControlMessage(f"the node behind {path} broke off in the middle of its answer")
            data += chunk
    answer = json.loads(data)
    if not isinstance(answer, dict) or not isinstance(answer.get("node"), str):
        raise InvalidControlMessage(f"expected an answer of a node from {path}, got {answer!r:.100}")
    return answer


def local_sockets() -> Iterator[str]:
    """Yield the paths of this user's sockets."""
    folder = socket_folder()
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    check_folder(folder)
    for name in names:
        if name.endswith(SUFFIX):
            yield os.path.join(folder, name)


def ask_local_nodes(
    method: str,
    arguments: Mapping[str, Any],
    destination: Sequence[str] | None = None,
    timeout_s: float = 1.0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> Replies:
    """Ask every node of this user on this machine, or those in *destination*, all at once; return their answers.

    Sockets of nodes that are gone are passed over; those that live and do not answer stand in ``replies.silent``.
    """
    gathered: list[tuple[str, dict[str, Any] | Exception]] = []

    def ask(path: str) -> None:
        try:
            gathered.append((path, _ask_if_meant(path, method, arguments, destination, timeout_s)))
        except (OSError, ValueError, UmbelError) as error:
            gathered.append((path, error))

    threads = [threading.Thread(target=ask, args=(path,), daemon=True) for path in local_sockets()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    replies = Replies()
    for path, found in sorted(gathered, key=lambda entry: entry[0]):
        if isinstance(found, ConnectionRefusedError | FileNotFoundError):
            continue  # nobody is behind it any more
        if isinstance(found, Exception):
            replies.silent.append(os.path.basename(path).removesuffix(SUFFIX))
        elif found:
            reply = {found["node"]: found.get("answer")}
            replies.append(reply)
            if callback is not None:
                callback(reply)
    replies.silent += sorted(set(destination or ()) - {node for reply in replies for node in reply})
    return replies


def _ask_if_meant(
    path: str, method: str, arguments: Mapping[str, Any], destination: Sequence[str] | None, timeout_s: float
) -> dict[str, Any]:
    if destination is not None and ask_socket(path, "ping", {}, timeout_s)["node"] not in destination:
        return {}
    return ask_socket(path, method, arguments, timeout_s)
