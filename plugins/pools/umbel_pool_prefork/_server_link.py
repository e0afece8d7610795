"""The pool's view of its server process: asks it to fork and to kill, hears of starts and ends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from typing import Any

from billiard.context import ForkProcess

from umbel.spi import Executor, PoolOptions
from umbel_pool_prefork._server import FORK, KILL, REQUEST, STATUS, run_server
from umbel_pool_prefork._slots import Slots

__all__ = ["ServerLink"]

_JOIN_S = 5.0


class ServerLink:
    """One server process and the socket to it. After the launch it belongs to the pool's I/O thread."""

    def __init__(self, slots: Slots, executor: Executor, options: PoolOptions) -> None:
        """Fork the server; to be called while the process is single-threaded."""
        self.control, servers_end = socket.socketpair()
        self._rest = b""
        self._process: Any = ForkProcess(
            target=run_server,
            args=(servers_end, self.control, os.getpid(), slots, executor, options),
            name="umbel-pool-server",
            daemon=True,
        )
        freezes = gc.get_freeze_count() == 0
        if freezes:
            gc.freeze()
        try:
            self._process.start()
        finally:
            if freezes:
                gc.unfreeze()
            servers_end.close()
        #: The server's process id.
        self.pid = int(self._process.pid)
        self.control.setblocking(False)

    def fork(self, slot: int, connection: socket.socket, nudges: int) -> None:
        """Ask for a child in *slot* with these ends of its socket and its pipe. ``OSError`` when the server is gone."""
        socket.send_fds(self.control, [REQUEST.pack(FORK, slot, 0)], [connection.fileno(), nudges])

    def kill(self, slot: int, number: int) -> None:
        """Ask to send signal *number* to the child in *slot*, if it is still there."""
        with contextlib.suppress(OSError):  # a dead server is found by reading
            self.control.send(REQUEST.pack(KILL, slot, number))

    def receive(self) -> list[tuple[int, int, int, int]] | None:
        """Return new records (what, slot, pid, code); ``None`` when the server is gone."""
        try:
            chunk = self.control.recv(4096)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not chunk:
            return None
        data = self._rest + chunk
        whole = len(data) - len(data) % STATUS.size
        self._rest = data[whole:]
        return [(what, slot, pid, code) for what, slot, pid, code in STATUS.iter_unpack(data[:whole])]

    def close(self) -> None:
        """Let the server kill what is left of the children and exit; leave no zombie [B995]."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)
        self.control.settimeout(_JOIN_S)
        try:
            while self.control.recv(4096):  # its end closes when it exits
                pass
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
        except OSError:  # gone already
            pass
        self.control.close()
        self._process.join()
        with contextlib.suppress(ValueError):  # reaped by somebody's waitpid(-1): nothing to release
            self._process.close()
