"""Redis in its other forms, for tests: behind TLS, a master with a replica and sentinels, a cluster of three nodes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from umbel.testing.servers import RedisServer, Server, free_port

__all__ = ["Certificates", "RedisCluster", "RedisReplicated", "TlsRedisServer", "ask_redis"]

_PATIENCE_S = 60.0


def ask_redis(port: int, *command: str, timeout_s: float = 5.0) -> str:
    """Send one command to the server on *port* of the loopback; return the answer as it is on the wire."""
    words = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
    with socket.create_connection(("127.0.0.1", port), timeout_s) as link:
        link.sendall(f"*{len(command)}\r\n{words}".encode())
        answer = link.recv(1 << 16)
        size = answer[1 : answer.find(b"\r\n")]
        while answer[:1] == b"$" and len(answer) < int(size):
            answer += link.recv(1 << 16)
    return answer.decode()


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not happen within {_PATIENCE_S:g} s")
        time.sleep(0.05)  # a foreign program gives no signal to wait for


class Certificates:
    """An authority of our own in *folder*, and what it has signed for the loopback. Needs the program ``openssl``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = folder / "ca.crt"
        self.key = folder / "server.key"
        self.certificate = folder / "server.crt"
        authority_key, request, names = folder / "ca.key", folder / "server.csr", folder / "names.cnf"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        common = ("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        basic = ("-addext", "keyUsage=critical,keyCertSign", "-subj", "/CN=an authority of the tests", "-days", "2")
        self._run("req", "-x509", *common, "-keyout", authority_key, "-out", self.authority, *basic)
        self._run("req", *common, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        signing = ("-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial", "-extfile", names, "-days", "2")
        self._run("x509", "-req", "-in", request, "-out", self.certificate, *signing)

    @staticmethod
    def _run(*arguments: str | Path) -> None:
        subprocess.run(("openssl", *map(str, arguments)), check=True, capture_output=True, timeout=60)


class TlsRedisServer(RedisServer):
    """A Redis that speaks TLS alone. *client_certificates*: whether clients must show one of the authority's."""

    def __init__(self, folder: Path, *, client_certificates: bool = False) -> None:
        super().__init__(folder)
        self.certificates = Certificates(folder / "certificates")
        self._asks = "yes" if client_certificates else "no"

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.certificates.authority}"

    def command(self) -> Sequence[str]:
        made = self.certificates
        files = ("--tls-cert-file", made.certificate, "--tls-key-file", made.key, "--tls-ca-cert-file", made.authority)
        ports = ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", self._asks)
        return (*super().command(), *ports, *map(str, files))

    def answers(self) -> bool:
        """A client that trusts the authority is answered."""
        made = self.certificates
        context = ssl.create_default_context(cafile=str(made.authority))
        context.load_cert_chain(made.certificate, made.key)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False


class _Sentinel(Server):
    programs = RedisServer.programs
    package = RedisServer.package

    def __init__(self, folder: Path, master_name: str, master_port: int, quorum: int) -> None:
        super().__init__(folder)
        self._rules = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"sentinel monitor {master_name} 127.0.0.1 {master_port} {quorum}",
            f"sentinel down-after-milliseconds {master_name} 1000",
            f"sentinel failover-timeout {master_name} 3000",
        )

    def command(self) -> Sequence[str]:
        return (self.program(), str(self.folder / "sentinel.conf"), "--sentinel")

    def start(self) -> Self:
        """Write the configuration, which the sentinel rewrites as it learns, and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "sentinel.conf").write_text("\n".join(self._rules) + "\n")
        return super().start()


class _Replica(RedisServer):
    def __init__(self, folder: Path, master_port: int) -> None:
        super().__init__(folder)
        self._master_port = master_port

    def command(self) -> Sequence[str]:
        return (
            *super().command(),
            "--replicaof",
            "127.0.0.1",
            str(self._master_port),
            "--repl-diskless-sync-delay",
            "0",
        )


class RedisReplicated:
    """A master, a replica, and three sentinels that know the master as :attr:`master_name`."""

    master_name = "main"

    def __init__(self, folder: Path) -> None:
        self.master = RedisServer(folder / "master")
        self.replica: RedisServer = _Replica(folder / "replica", self.master.port)
        self.sentinels = [_Sentinel(folder / f"s{n}", self.master_name, self.master.port, 2) for n in range(3)]

    @property
    def url(self) -> str:
        """The broker URL: every sentinel."""
        return ";".join(f"sentinel://127.0.0.1:{sentinel.port}/0" for sentinel in self.sentinels)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            for server in (self.master, self.replica, *self.sentinels):
                starting.enter_context(server)
            _until(
                lambda: "master_link_status:up" in ask_redis(self.replica.port, "INFO", "replication"), "the copying"
            )
            for sentinel in self.sentinels:
                _until(lambda port=sentinel.port: self._is_informed(port), "the meeting of the sentinels")  # type: ignore[misc]
            self._running = starting.pop_all()
        return self

    def _is_informed(self, port: int) -> bool:
        state = ask_redis(port, "INFO", "sentinel")
        return "slaves=1,sentinels=3" in state and "status=ok" in state

    def fail_over(self) -> None:
        """Kill the master, and wait until the replica is master and the sentinels say so."""
        self.master.kill()
        question = ("SENTINEL", "get-master-addr-by-name", self.master_name)
        for sentinel in self.sentinels:
            _until(lambda port=sentinel.port: str(self.replica.port) in ask_redis(port, *question), "the fail-over")  # type: ignore[misc]
        _until(lambda: "role:master" in ask_redis(self.replica.port, "INFO", "replication"), "the promotion")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


class _Node(RedisServer):
    def command(self) -> Sequence[str]:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(self._bus))
        return (*super().command(), *options)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bus = free_port()


class RedisCluster:
    """Three nodes that share the slots; no replicas."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [_Node(folder / f"node{number}") for number in range(3)]

    @property
    def url(self) -> str:
        """The broker URL: every node."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            for node in self.nodes:
                starting.enter_context(node)
            addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
            tool = str(Path(RedisServer.program()).with_name("redis-cli"))
            made = subprocess.run(
                (tool, "--cluster", "create", *addresses, "--cluster-replicas", "0", "--cluster-yes"),
                capture_output=True,
                check=False,
                timeout=_PATIENCE_S,
            )
            if made.returncode:
                raise RuntimeError(f"redis-cli --cluster create failed: {made.stdout.decode()[-2000:]}")
            for node in self.nodes:
                _until(lambda port=node.port: "cluster_state:ok" in ask_redis(port, "CLUSTER", "INFO"), "the agreement")  # type: ignore[misc]
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
