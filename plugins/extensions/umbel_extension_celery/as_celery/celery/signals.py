"""Signals."""

from __future__ import annotations

from umbel.signals import SIGNALS as _SIGNALS

globals().update(_SIGNALS)

__all__ = [*_SIGNALS]
