"""The pool's view of one server process: asks it to fork and to kill, hears of starts and ends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from typing import Any

from billiard.context import ForkProcess

from umbel.spi import Executor, PoolOptions
from umbel_pool_prefork._server import FORK, KILL, REQUEST, SERVING, STATUS, SUBSTITUTE, run_server
from umbel_pool_prefork._slots import Slots

__all__ = ["ServerLink"]

_JOIN_S = 5.0


class ServerLink:
    """The socket to a server process. After the launch it belongs to the pool's I/O thread.

    *process* is the handle of a server that this process has forked; ``None`` for one that a server has.
    """

    def __init__(self, control: socket.socket, process: Any = None) -> None:
        self.control = control
        self.control.setblocking(False)
        #: The server's process id; 0 until it has said so.
        self.pid = 0 if process is None else int(process.pid)
        self._process = process
        self._rest = b""

    @classmethod
    def launch(cls, slots: Slots, executor: Executor, options: PoolOptions) -> ServerLink:
        """Fork a server; to be called while the process is single-threaded."""
        control, servers_end = socket.socketpair()
        process: Any = ForkProcess(
            target=run_server,
            args=(servers_end, control, os.getpid(), slots, executor, options),
            name="umbel-pool-server",
            daemon=True,
        )
        freezes = gc.get_freeze_count() == 0
        if freezes:
            gc.freeze()
        try:
            process.start()
        finally:
            if freezes:
                gc.unfreeze()
            servers_end.close()
        return cls(control, process)

    def order_substitute(self) -> ServerLink:
        """Have this server fork another one that can take its place. ``OSError`` when this one is gone."""
        control, servers_end = socket.socketpair()
        try:
            socket.send_fds(self.control, [REQUEST.pack(SUBSTITUTE, 0, 0)], [servers_end.fileno()])
        except OSError:
            control.close()
            raise
        finally:
            servers_end.close()
        return ServerLink(control)

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
        records = list(STATUS.iter_unpack(data[:whole]))
        if records and records[0][0] == SERVING:
            self.pid = records.pop(0)[2]
        return records

    def bury(self) -> None:
        """Let go of a server that is dead."""
        self.control.close()
        self._reap()

    def close(self) -> None:
        """Let the server kill what is left of the children and exit; leave no zombie [B995]."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)
        self.control.settimeout(_JOIN_S)
        try:
            while self.control.recv(4096):  # its end closes when it exits
                pass
        except TimeoutError:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
        except OSError:  # gone already
            pass
        self.control.close()
        self._reap()

    def _reap(self) -> None:
        if self._process is None:
            return
        self._process.join()
        with contextlib.suppress(ValueError):  # reaped by somebody's waitpid(-1): nothing to release
            self._process.close()
