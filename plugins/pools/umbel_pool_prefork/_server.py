"""The process that forks the children: single-threaded, with the application loaded, so that a fork is always safe.

It speaks with the pool over one socket pair in records of fixed size. It dies with the pool's process, and takes the
children along; they die with it. It also forks its own substitute, which is what it is: it stands by with all that a
server needs, and serves when it is asked to.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from typing import Any, Final, NoReturn

from billiard.context import ForkProcess

from umbel.spi import Executor, PoolOptions
from umbel_pool_prefork._child import run_child
from umbel_pool_prefork._slots import Slots

__all__ = ["EXITED", "FORK", "KILL", "REFUSED", "REQUEST", "SERVING", "STARTED", "STATUS", "SUBSTITUTE", "run_server"]

#: Pool to server: what, slot, signal. A FORK carries the child's socket and its nudge pipe, a SUBSTITUTE its socket.
REQUEST: Final = struct.Struct("=BIi")
FORK, KILL, SUBSTITUTE = 1, 2, 3
#: Server to pool: what, slot, pid, exit code (negative: signal; for REFUSED the errno). SERVING comes first, and once.
STATUS: Final = struct.Struct("=BIii")
STARTED, EXITED, REFUSED, SERVING = 1, 2, 3, 4

_PR_SET_PDEATHSIG = 1


def run_server(
    control: socket.socket,
    parents_end: socket.socket,
    parent_pid: int,
    slots: Slots,
    executor: Executor,
    options: PoolOptions,
) -> NoReturn:
    """Serve until the pool closes its end of *control*, or its process is gone."""
    parents_end.close()
    gc.freeze()  # what is here already is shared by all children: let no collection write to it
    _serve_and_exit(_Server(control, slots, executor, options, parent_pid))


def _serve_and_exit(server: _Server) -> NoReturn:
    exit_code = 1
    try:
        server.serve()
        exit_code = 0
    finally:
        os._exit(exit_code)  # the atexit handlers are the parent's


class _Server:
    def __init__(
        self, control: socket.socket, slots: Slots, executor: Executor, options: PoolOptions, parent_pid: int
    ) -> None:
        self._control = control
        self._slots = slots
        self._executor = executor
        self._options = options
        self._parent_pid = parent_pid
        self._children: dict[int, Any] = {}
        self._substitutes: list[Any] = []
        self._maker_pid = os.getppid()
        self._deaths, self._deaths_in = os.pipe()
        self._parent = _open_pidfd(parent_pid)
        self._prctl = _find_prctl()

    def serve(self) -> None:
        self._adopt_signals()
        set_title("pool server")
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._deaths, self._parent):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        with contextlib.suppress(ConnectionError):  # the pool went away while we spoke to it
            self._tell(SERVING, 0, os.getpid(), 0)
            while not self._is_orphan():
                ready = {descriptor for descriptor, _ in poll.poll()}
                if self._deaths in ready:
                    os.read(self._deaths, 4096)
                    self._report_deaths()
                if self._control.fileno() in ready and not self._answer():
                    break
                if self._parent in ready:
                    break
        self._end_children()

    def _is_orphan(self) -> bool:
        """Whether the pool's process is gone. What a substitute was forked by may be gone: that is what it is for."""
        return self._maker_pid == self._parent_pid and os.getppid() != self._parent_pid

    def _adopt_signals(self) -> None:
        """Live and die by the control socket alone: signals to the process group are for the parent to judge."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGALRM"):
            if (number := getattr(signal, name, None)) is not None:
                signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.set_blocking(self._deaths_in, False)
        signal.set_wakeup_fd(self._deaths_in, warn_on_full_buffer=False)

    def _answer(self) -> bool:
        record, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if len(record) < REQUEST.size:
            return False
        what, slot, number = REQUEST.unpack(record)
        if what == FORK:
            self._fork(slot, *descriptors)
        elif what == SUBSTITUTE:
            self._fork_substitute(socket.socket(fileno=descriptors[0]))
        elif (child := self._children.get(slot)) is not None and child.exitcode is None:
            # Not reaped yet, so the pid is still this child's.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        return True

    def _fork(self, slot: int, connection: int, nudges: int) -> None:
        child: Any = ForkProcess(
            target=self._be_child, args=(slot, connection, nudges, os.getpid()), name=f"umbel-pool-{slot}", daemon=False
        )
        try:
            child.start()
        except OSError as error:
            self._tell(REFUSED, slot, 0, error.errno or 0)
        else:
            self._children[slot] = child
            self._tell(STARTED, slot, child.pid, 0)
        finally:
            os.close(connection)
            os.close(nudges)

    def _fork_substitute(self, control: socket.socket) -> None:
        # Without a word when it fails: the pool sees its socket end.
        with control, contextlib.suppress(OSError):
            substitute: Any = ForkProcess(
                target=self._be_substitute, args=(control,), name="umbel-pool-server", daemon=False
            )
            substitute.start()
            self._substitutes.append(substitute)

    def _be_substitute(self, control: socket.socket) -> NoReturn:
        self._let_go()
        _serve_and_exit(_Server(control, self._slots, self._executor, self._options, self._parent_pid))

    def _be_child(self, slot: int, connection: int, nudges: int, server_pid: int) -> NoReturn:
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != server_pid:  # it died before it could be asked for the signal
            os._exit(1)
        self._let_go()
        _empty_stdin()
        set_title(f"pool process {slot}")
        sys.exit(run_child(socket.socket(fileno=connection), nudges, self._slots[slot], self._executor, self._options))

    def _let_go(self) -> None:
        """Close what is the server's, in a fork of it."""
        signal.set_wakeup_fd(-1)
        self._control.close()
        for sibling in (*self._children.values(), *self._substitutes):
            with contextlib.suppress(OSError):
                os.close(sibling.sentinel)
        for descriptor in (self._deaths, self._deaths_in, self._parent):
            if descriptor >= 0:
                os.close(descriptor)

    def _report_deaths(self) -> None:
        for substitute in list(self._substitutes):
            if substitute.exitcode is not None:  # which reaps it [B995]
                self._substitutes.remove(substitute)
                substitute.join()
        for slot, child in list(self._children.items()):
            if child.exitcode is not None:
                del self._children[slot]
                pid, exit_code = child.pid, child.exitcode
                child.join()
                self._tell(EXITED, slot, pid, exit_code)

    def _tell(self, what: int, slot: int, pid: int, code: int) -> None:
        self._control.sendall(STATUS.pack(what, slot, pid, code))

    def _end_children(self) -> None:
        for child in self._children.values():
            if child.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            child.join()


def set_title(role: str) -> None:
    """Show *role* in ``ps``, where setproctitle is installed."""
    try:
        titles = importlib.import_module("setproctitle")
    except ImportError:
        return
    title = titles.getproctitle()
    titles.setproctitle(f"[umbel {role}] {title.partition('] ')[2] or title}")


def _empty_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null:
        os.close(null)


def _open_pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not this system, or not this kernel: the socket's end must do
        return -1


def _find_prctl() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):  # a best effort; the nudge pipe's end says the same a little later
        return None
