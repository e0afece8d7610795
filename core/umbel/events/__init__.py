"""Events: what workers and clients tell of themselves and of tasks, and the state of the cluster that follows."""

from __future__ import annotations

from umbel.events.dispatcher import EventDispatcher
from umbel.events.receiver import EventReceiver
from umbel.events.state import State, Task, Worker
from umbel.protocol.events import Event, group_from

__all__ = ["Event", "EventDispatcher", "EventReceiver", "State", "Task", "Worker", "group_from"]
