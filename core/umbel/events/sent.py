"""Telling monitors of calls that a client has sent."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import origin
from umbel.events.line import EventLine
from umbel.exceptions import UmbelError
from umbel.model import Publication
from umbel.protocol.events import make_event, sent_fields
from umbel.protocol.tasks import normalize

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["tell_sent"]

logger = logging.getLogger("umbel.events")


def tell_sent(app: Umbel, publications: Sequence[Publication]) -> None:
    """Publish ``task-sent`` for each of *publications*, over a pooled connection; what goes wrong is logged."""
    try:
        with app.publisher.borrowed() as transport:
            line = EventLine(app, origin(), transport=transport)
            line.publish([line.alone(_event(app, publication)) for publication in publications])
    except (UmbelError, OSError) as error:
        logger.warning("monitors could not be told of %d calls that were sent: %s", len(publications), error)


def _event(app: Umbel, publication: Publication) -> dict[str, Any]:
    queue, key = publication.queue, publication.routing_key
    message = publication.message
    if "task" not in message.headers:  # protocol 1 has it in the body
        message = normalize(message, app.codec, app.codec.content_types(app.conf.accept_content))
    fields = sent_fields(message.headers, key if queue is None else queue.name, publication.exchange, key)
    return make_event("task-sent", fields, origin(), os.getpid(), app.clock.forward())
