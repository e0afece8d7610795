"""Beat: what sends the calls of ``beat_schedule`` when they are due."""

from __future__ import annotations

from umbel.beat.lazy import BeatLazyFunc
from umbel.beat.service import Service
from umbel.beat.step import beat_step

__all__ = ["BeatLazyFunc", "Service", "beat_step"]
