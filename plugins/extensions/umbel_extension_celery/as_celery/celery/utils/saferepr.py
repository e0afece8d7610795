"""Texts of values that are never endless."""

from __future__ import annotations

from umbel.protocol.reprs import saferepr

__all__ = [
    "saferepr",
]
