"""No task queue at all: one message, encoded beforehand, written to RabbitMQ again and again and confirmed.

What no client can be quicker than: its own work is next to nothing, so this measures the broker.
"""

from __future__ import annotations

import functools
import itertools
import struct

from bench.peers import place, umbel_peer

NAME = "frames alone, confirmed"
SHARE = 0.5
BULK = "1,000 a write"
NAPS = {}
UNCONFIRMED = 5000
_ACK = b"\x00\x3c\x00\x50"


def missing():
    return place.missing_module("amqp")


class Line:
    """A connection in confirm mode, and the frames of a message like Umbel's."""

    def __init__(self):
        import amqp  # a driver that may be missing

        from umbel.calling.batches import prepare_call
        from umbel_transport_amqp.frames import publish_frames, publish_method

        port = int(place.URL.rsplit(":", 1)[1].split("/")[0])
        self._connection = amqp.Connection(f"127.0.0.1:{port}")
        self._connection.connect()
        channel = self._connection.channel()
        channel.queue_declare("celery", durable=True, auto_delete=False)
        channel.confirm_select()
        method = publish_method(channel.channel_id, "", "celery", True)
        _, publication = prepare_call(umbel_peer.app, umbel_peer.noop, umbel_peer.noop.name, (), {}, {})
        self._message = publish_frames(
            channel.channel_id, self._connection.frame_max, method, publication.message, 0, None
        )
        self._socket = self._connection.transport.sock
        self._socket.settimeout(30)
        self._rest = b""
        self._sent = 0
        self._open = {}  # the numbers of what is unconfirmed, in order

    def send(self, count, at_once, unconfirmed):
        """Send *count* messages, some *at_once* in one write, while at most *unconfirmed* are; wait for all."""
        for start in range(0, count, at_once):
            some = min(at_once, count - start)
            self._wait(unconfirmed - some)
            self._open.update(dict.fromkeys(range(self._sent + 1, self._sent + some + 1)))
            self._sent += some
            self._socket.sendall(self._message * some)
        self._wait(0)

    def _wait(self, most):
        while len(self._open) > most:
            data = self._rest + self._socket.recv(1 << 16)
            at = 0
            while len(data) - at >= 8:
                _, _, size = struct.unpack_from(">BHI", data, at)
                if len(data) - at < size + 8:
                    break
                if data[at + 7 : at + 11] == _ACK:
                    self._note(*struct.unpack_from(">QB", data, at + 11))
                at += size + 8
            self._rest = data[at:]

    def _note(self, tag, multiple):
        for number in list(itertools.takewhile(tag.__ge__, self._open)) if multiple else (tag,):
            del self._open[number]


@functools.cache
def line():
    return Line()


def send(name, count, bulk):
    line().send(count, *((1000, UNCONFIRMED) if bulk else (1, 1)))
