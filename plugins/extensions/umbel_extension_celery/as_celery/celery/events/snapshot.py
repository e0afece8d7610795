"""Cameras."""

from __future__ import annotations

from umbel.events.snapshot import Polaroid

__all__ = [
    "Polaroid",
]
