"""Signals."""

from __future__ import annotations

from umbel.signals import *
from umbel.signals import SIGNALS

__all__ = [*SIGNALS]
