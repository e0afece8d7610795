"""What the worker tells monitors and its peers."""

from __future__ import annotations

from umbel.worker.events.steps import EventsStep, GossipStep

__all__ = ["EventsStep", "GossipStep"]
