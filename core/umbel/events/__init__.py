"""Events: what workers and clients tell of themselves and of tasks, and the state of the cluster that follows."""

from __future__ import annotations

from umbel.events.dispatcher import EventDispatcher
from umbel.events.receiver import EventReceiver
from umbel.protocol.events import group_from

__all__ = ["EventDispatcher", "EventReceiver", "group_from"]
