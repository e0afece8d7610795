"""RabbitMQ behind TLS, with an authority of our own."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import OperationalError, TransportError
from umbel.model import Message, Publication, Queue, Settlement
from umbel.testing.rabbitmq_servers import TlsRabbitmqServer
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import AmqpTransport


def opened(url: str, tls: Any) -> AmqpTransport:
    transport = AmqpTransport(url, AmqpSettings(ssl=tls))
    transport.open(10)
    return transport


def test_messages_of_all_sizes_go_through_tls(own_rabbitmq: TlsRabbitmqServer) -> None:
    # Larger than a record of TLS, than a frame, and than what is read at once; and many small ones in one record.
    transport = opened(own_rabbitmq.tls_url, {"ca_certs": str(own_rabbitmq.certificates.authority)})
    queue = Queue(name="tls")
    bodies = [bytes([number]) * size for number, size in enumerate((0, 10, 20_000, 140_000, 600_000))]
    bodies += [b"%d" % number for number in range(500)]
    transport.publish([Publication(Message(body), queue, "", "tls") for body in bodies], 20)
    consumer = transport.consume([queue], 0, "w")
    got: list[bytes] = []
    while len(got) < len(bodies):
        deliveries = consumer.receive(100, 10)
        assert deliveries
        got += [delivery.message.body for delivery in deliveries]
        consumer.settle(Settlement(acks=deliveries))
    assert got == bodies
    consumer.close()
    transport.delete("tls")
    transport.close()


def test_an_unknown_authority_is_refused_unless_asked_for(own_rabbitmq: TlsRabbitmqServer) -> None:
    with pytest.raises(OperationalError, match="certificate verify failed"):
        opened(own_rabbitmq.tls_url, None)
    opened(own_rabbitmq.tls_url, {"cert_reqs": ssl.CERT_NONE}).close()


def test_options_that_the_driver_does_not_take_are_told_of(own_rabbitmq: TlsRabbitmqServer) -> None:
    with pytest.raises(TransportError, match="broker_use_ssl"):
        opened(own_rabbitmq.tls_url, {"ca_cert": "misspelt"})


def test_a_certificate_for_another_host_is_refused(own_rabbitmq: TlsRabbitmqServer) -> None:
    trusting = {"ca_certs": str(own_rabbitmq.certificates.authority)}
    with pytest.raises(OperationalError, match="certificate verify failed"):
        opened(own_rabbitmq.tls_url, {**trusting, "server_hostname": "elsewhere.example.org"})
    opened(own_rabbitmq.tls_url, {**trusting, "server_hostname": "localhost"}).close()


def test_tls_is_not_spoken_where_it_was_not_asked_for(own_rabbitmq: TlsRabbitmqServer) -> None:
    plain = f"amqp://guest:guest@127.0.0.1:{own_rabbitmq.tls_port}//"
    with pytest.raises(OperationalError):
        opened(plain, None)
    opened(plain, {"ca_certs": str(own_rabbitmq.certificates.authority)}).close()  # broker_use_ssl alone


def test_an_application_with_celerys_settings(own_rabbitmq: TlsRabbitmqServer) -> None:
    made = own_rabbitmq.certificates
    tls = {
        "ca_certs": str(made.authority),
        "certfile": str(made.certificate),
        "keyfile": str(made.key),
        "cert_reqs": ssl.CERT_REQUIRED,
    }
    app = Umbel("tls", broker=own_rabbitmq.tls_url, set_as_current=False)
    app.conf.update(broker_use_ssl=tls)
    transport = app.open_transport(10)
    assert transport.count(["nothing"]) == [0]
    transport.close()
    app.close()
