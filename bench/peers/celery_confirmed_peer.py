"""Celery on RabbitMQ with ``confirm_publish``, which it does not have by default: a call waits for its confirmation."""

from __future__ import annotations

from bench.peers import celery_peer
from bench.peers.celery_peer import missing, send

__all__ = ["BULK", "NAME", "NAPS", "SHARE", "missing", "send"]

NAME = f"{celery_peer.NAME}, confirmed"
SHARE, BULK, NAPS = celery_peer.SHARE, celery_peer.BULK, celery_peer.NAPS

if not missing():
    celery_peer.app.conf.broker_transport_options = {"confirm_publish": True}
