"""Umbel on RabbitMQ with ``publisher_confirms = "window"``: a call does not wait for its own confirmation."""

from __future__ import annotations

from bench.peers import umbel_peer
from bench.peers.umbel_peer import app, missing, send

__all__ = ["BULK", "NAME", "NAPS", "SHARE", "missing", "send"]

NAME = f"{umbel_peer.NAME}, window"
SHARE, BULK, NAPS = umbel_peer.SHARE, umbel_peer.BULK, umbel_peer.NAPS

app.conf.update({"amqp": {"publisher_confirms": "window"}})
