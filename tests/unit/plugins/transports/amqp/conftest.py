"""A RabbitMQ of these tests' own, which they may break."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from umbel.testing.rabbitmq_servers import TlsRabbitmqServer
from umbel.testing.servers import MissingProgram


@pytest.fixture(scope="package")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbitmqServer]:
    try:
        TlsRabbitmqServer.program()
    except MissingProgram as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with TlsRabbitmqServer(tmp_path_factory.mktemp("own"), ("max_message_size = 1000000",)) as server:
        yield server
