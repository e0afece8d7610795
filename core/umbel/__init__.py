"""Umbel: a distributed task queue in which every part is a plugin."""

from __future__ import annotations

__version__ = "0.1.0"
