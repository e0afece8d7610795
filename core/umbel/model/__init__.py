"""The kernel's plain data: what the contracts of :mod:`umbel.spi` take and give."""

from __future__ import annotations

from umbel.model.calls import TaskCall
from umbel.model.messages import Delivery, Message, Publication, Settlement
from umbel.model.plugins import API_VERSION, KINDS, PluginInfo
from umbel.model.results import ChordPart, Commit, JoinedChord, TaskMeta
from umbel.model.routes import Route, RouteQuery
from umbel.model.topology import Exchange, Queue

__all__ = [
    "API_VERSION",
    "KINDS",
    "ChordPart",
    "Commit",
    "Delivery",
    "Exchange",
    "JoinedChord",
    "Message",
    "PluginInfo",
    "Publication",
    "Queue",
    "Route",
    "RouteQuery",
    "Settlement",
    "TaskCall",
    "TaskMeta",
]
