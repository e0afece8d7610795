"""Signals."""

from __future__ import annotations

from umbel import signals as _signals
from umbel.signals import *

__all__ = [*_signals.SIGNALS]
