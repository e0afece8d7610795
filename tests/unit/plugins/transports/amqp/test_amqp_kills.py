"""What RabbitMQ has confirmed survives its death, from the first message on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.servers import need

from umbel.model import Message, Publication, Queue, Settlement
from umbel.testing.servers import RabbitmqServer
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import AmqpTransport

#: What cannot be passed on while RabbitMQ starts is tried again after this time, and not after three minutes.
_TRIES_AGAIN_AFTER_MS = 2000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitmqServer]:
    """A server that nobody else has declared anything on."""
    advanced = f"[{{rabbit, [{{dead_letter_worker_publisher_confirm_timeout, {_TRIES_AGAIN_AFTER_MS}}}]}}]."
    need(RabbitmqServer)
    with RabbitmqServer(tmp_path_factory.mktemp("killed"), advanced=advanced) as server:
        yield server


def opened(server: RabbitmqServer) -> AmqpTransport:
    transport = AmqpTransport(server.url, AmqpSettings())
    transport.open(20)
    return transport


def arrives_after_a_kill(server: RabbitmqServer, queue: Queue, delay_s: float) -> bool:
    """Publish what is due in *delay_s*, kill the server at once, start it, and look for the message."""
    transport = opened(server)
    if delay_s:  # what is declared for it takes longer than some delays
        transport.publish([Publication(Message(b"much later"), queue, "", queue.name, time.time() + 3600)], 60)
    due = time.time() + delay_s if delay_s else None
    transport.publish([Publication(Message(b"first"), queue, "", queue.name, due)], 60)
    server.kill()
    transport.close()
    server.start()
    transport = opened(server)
    consumer = transport.consume([queue], 0, "w")
    found = consumer.receive(1, 40)
    consumer.settle(Settlement(acks=found))
    consumer.close()
    transport.close()
    return bool(found)


def test_the_first_message_of_a_quorum_queue_survives_a_kill(server: RabbitmqServer) -> None:
    # [B991] RabbitMQ 3 keeps the name of the last quorum queue for a moment before it writes it down.
    assert arrives_after_a_kill(server, Queue(name="fresh", queue_arguments={"x-queue-type": "quorum"}), 0)


def test_the_first_delayed_message_survives_a_kill(server: RabbitmqServer) -> None:
    # [B991] The last of the delay queues is the one for nine tenths of a second.
    assert arrives_after_a_kill(server, Queue(name="classic"), 1.88)
