"""RabbitMQ behind TLS, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umbel.testing.redis_servers import Certificates
from umbel.testing.servers import RabbitmqServer, free_port

__all__ = ["TlsRabbitmqServer"]


class TlsRabbitmqServer(RabbitmqServer):
    """A RabbitMQ that also speaks TLS, on :attr:`tls_port`. *client_certificates*: clients must show one of the authority's."""

    def __init__(self, folder: Path, settings: Sequence[str] = (), *, client_certificates: bool = False) -> None:
        self.tls_port = free_port()
        self.certificates = made = Certificates(folder / "certificates")
        lines = (
            f"listeners.ssl.default = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {made.authority}",
            f"ssl_options.certfile = {made.certificate}",
            f"ssl_options.keyfile = {made.key}",
            "ssl_options.verify = verify_peer",
            f"ssl_options.fail_if_no_peer_cert = {str(client_certificates).lower()}",
        )
        super().__init__(folder, (*lines, *settings))

    @property
    def tls_url(self) -> str:
        """The broker URL for TLS."""
        return f"amqps://guest:guest@127.0.0.1:{self.tls_port}//"
