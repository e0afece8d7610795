"""Real servers for tests: started from the installed programs, on free ports of the loopback, with their data in a folder.

A test never uses a server that happens to be there. Each class starts one program, waits until it answers, and can
stop, kill, freeze and start it again on the same port and data, so that faults can be tried.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["MissingProgram", "PostgresServer", "RabbitmqServer", "RedisServer", "Server", "free_port"]


class MissingProgram(RuntimeError):
    """Raised when the server's program is not installed; the text says what to install."""


def free_port() -> int:
    """Return a TCP port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process of our own. Used as a context manager, or with :meth:`start` and :meth:`stop`."""

    #: The programs to look for, in order, and the Debian package that has them.
    programs: Sequence[str] = ()
    package = ""
    start_timeout_s = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def program(cls) -> str:
        """Return the path of the installed program; raises :class:`MissingProgram`."""
        for name in cls.programs:
            found = shutil.which(name) or (name if os.access(name, os.X_OK) else None)
            if found:
                return found
        raise MissingProgram(f"needs one of {', '.join(cls.programs)}: apt-get install {cls.package}")

    @property
    def url(self) -> str:
        """The broker URL."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The id of the server's process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    def command(self) -> Sequence[str]:
        """Return the command line."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return what is set beside the environment of the tests."""
        return {}

    def user(self) -> pwd.struct_passwd | None:
        """Return whom the server runs as; ``None``: the one who runs the tests."""
        return None

    def answers(self) -> bool:
        """Say whether the server serves."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def start(self) -> Self:
        """Start, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.user()
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
                extra_groups=None if owner is None else (),
            )
        self._until(self.answers, "answer")
        return self

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while not condition():
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"{self.programs[0]} ended: {(self.folder / 'output.log').read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.programs[0]} did not {what} within {self.start_timeout_s:g} s")
            time.sleep(0.05)  # a foreign program gives no signal to wait for

    def signal(self, number: int) -> None:
        """Send a signal to the server and all of its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it (SIGKILL), as a power failure would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for attempt in (number, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, attempt)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
                break

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class RedisServer(Server):
    """Redis or Valkey, with an append-only file so that it survives :meth:`kill`."""

    programs = ("redis-server", "valkey-server")
    package = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
        return (self.program(), "--port", str(self.port), "--dir", str(self.folder), *options)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False


class RabbitmqServer(Server):
    """RabbitMQ as a node of its own, with its own port mapper and cookie.

    *settings* are lines of ``rabbitmq.conf``, *advanced* is the text of ``advanced.config``.
    """

    programs = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
    package = "rabbitmq-server"

    def __init__(self, folder: Path, settings: Sequence[str] = (), *, advanced: str = "[].") -> None:
        super().__init__(folder)
        self._settings = list(settings)
        self._advanced = advanced
        self._distribution_port = free_port()
        self._mapper_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> Self:
        """Start the port mapper (it would daemonize itself, and outlive us), then the node."""
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                ("epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"), stdin=subprocess.DEVNULL
            )
        return super().start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None

    def command(self) -> Sequence[str]:
        return (self.program(),)

    def environment(self) -> dict[str, str]:
        folder = self.folder
        (folder / "home").mkdir(exist_ok=True)
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in self._settings))
        (folder / "advanced.config").write_text(f"{self._advanced}\n")
        return {
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": f"umbel{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def answers(self) -> bool:
        """A connection is answered with the start of the AMQP handshake."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return link.recv(1) == b"\x01"
        return False


class PostgresServer(Server):
    """A cluster of its own, with the superuser ``umbel`` and the database ``umbel``, that trusts the loopback.

    PostgreSQL refuses to run as root: then it runs as the unprivileged user that its package has made, or ``nobody``.
    *fsync* is for tests that pull the plug.
    """

    programs = ("postgres",)
    package = "postgresql"

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        self._fsync = "on" if fsync else "off"

    @classmethod
    def program(cls) -> str:
        """Return the newest ``postgres`` (Debian keeps it out of the path); raises :class:`MissingProgram`."""
        versions = glob.glob("/usr/lib/postgresql/*/bin/postgres")
        if versions:
            return max(versions, key=lambda path: float(path.split("/")[4]))
        return str(Path(super().program()).resolve())

    @property
    def url(self) -> str:
        return f"postgresql://umbel@127.0.0.1:{self.port}/umbel"

    def command(self) -> Sequence[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": self._fsync,
            "max_connections": "200",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        return (self.program(), "-D", str(self._data), "-p", str(self.port), *settings)

    def start(self) -> Self:
        """Make the cluster when there is none, start, and make the database."""
        is_new = not self._data.exists()
        if is_new:
            self._make_data()
            self._run("initdb", "-D", str(self._data), "-U", "umbel", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        super().start()
        if is_new:
            self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "umbel", "umbel")
        return self

    def answers(self) -> bool:
        """A client is answered, and not with "the database system is starting up"."""
        return self._tool("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "umbel").returncode == 0

    def user(self) -> pwd.struct_passwd | None:
        """Return an unprivileged user when the tests run as root."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres")
        return pwd.getpwnam("nobody")

    def signal(self, number: int) -> None:
        """Send a signal to the server and to the processes of its connections, which are in groups of their own."""
        if self._process is not None:
            for pid in (self._process.pid, *self._children()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill(self) -> None:
        """Kill all of its processes: those left over would keep the next start from the shared memory."""
        children = self._children()
        super().kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _children(self) -> list[int]:
        pid = 0 if self._process is None else self._process.pid
        with contextlib.suppress(OSError):  # no Linux: they end by themselves, a moment later
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def _make_data(self) -> None:
        """Make the empty folder of the cluster. Where another user owns it: one that he can reach, outside of ours."""
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.user()
        if owner is None:
            self._data.mkdir(mode=0o700)
            return
        self._data = Path(tempfile.mkdtemp(prefix="umbel-postgres-"))
        os.chown(self._data, owner.pw_uid, owner.pw_gid)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._data, ignore_errors=True)

    def _run(self, *command: str) -> None:
        finished = self._tool(*command)
        if finished.returncode:
            raise RuntimeError(f"{command[0]} failed: {finished.stderr.decode()[-2000:]}")

    def _tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        owner = self.user()
        finished: subprocess.CompletedProcess[bytes] = subprocess.run(
            (str(Path(self.program()).with_name(name)), *arguments),
            capture_output=True,
            cwd="/",
            check=False,
            timeout=60,
            user=None if owner is None else owner.pw_uid,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else (),
        )
        return finished
