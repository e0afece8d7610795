"""A RabbitMQ of these tests' own, which they may break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers import need

from umbel.testing.rabbitmq_servers import TlsRabbitmqServer


@pytest.fixture(scope="package")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbitmqServer]:
    need(TlsRabbitmqServer)
    with TlsRabbitmqServer(tmp_path_factory.mktemp("own"), ("max_message_size = 1000000",)) as server:
        yield server
