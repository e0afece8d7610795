"""The servers that tests stand on, one of each for the whole run, started from the installed programs."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from tests.servers import need

from umbel.testing.redis_servers import RedisCluster, TlsRedisServer
from umbel.testing.servers import MissingProgram, PostgresServer, RabbitmqServer, RedisServer, Server

# How long an example takes says nothing on a machine that runs other tests beside it.
settings.register_profile("umbel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("umbel")


class SqsServer(Server):
    """Amazon's SQS as moto plays it."""

    programs = (sys.executable,)
    package = "moto[server] with pip"

    @classmethod
    def program(cls) -> str:
        """Return the interpreter that has moto; raises :class:`MissingProgram`."""
        if importlib.util.find_spec("moto") is None:
            raise MissingProgram("needs moto's server: pip install 'moto[server]'")
        return super().program()

    @property
    def url(self) -> str:
        return f"sqs://key:secret@127.0.0.1:{self.port}//"

    def command(self) -> Sequence[str]:
        return (self.program(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))


def _served(kind: type[Server], factory: pytest.TempPathFactory) -> Iterator[Server]:
    need(kind)
    with kind(factory.mktemp(kind.__name__.lower())) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(RedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(RabbitmqServer, tmp_path_factory)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(PostgresServer, tmp_path_factory)


@pytest.fixture(scope="session")
def tls_redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(TlsRedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    need(RedisServer)
    with RedisCluster(tmp_path_factory.mktemp("rediscluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sqs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(SqsServer, tmp_path_factory)


@pytest.fixture(scope="session")
def make_identity(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SimpleNamespace]:
    """``make_identity(name, days=1, password=None)`` makes a key and a certificate: files ``key``, ``cert``, ``store``."""
    pytest.importorskip("cryptography", reason="pip install 'umbel[auth]'")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    def make(name: str, days: float = 1, password: bytes | None = None) -> SimpleNamespace:
        folder, now = tmp_path_factory.mktemp(name), dt.datetime.now(dt.UTC)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        title = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(title)
            .issuer_name(title)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, cipher))
        (folder / "trusted").mkdir()
        (folder / "trusted" / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        trusted = folder / "trusted"
        return SimpleNamespace(key=str(folder / "key.pem"), cert=str(trusted / f"{name}.crt"), store=str(trusted))

    return make
