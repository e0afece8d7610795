"""The parts of a consumer, as steps require them."""

from __future__ import annotations

from umbel_extension_celery.steps import Agent, Connection, Consumer, Control, Events, Gossip, Heart, Mingle, Tasks

__all__ = [
    "Agent",
    "Connection",
    "Consumer",
    "Control",
    "Events",
    "Gossip",
    "Heart",
    "Mingle",
    "Tasks",
]
