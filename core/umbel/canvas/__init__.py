"""Workflows: signatures and what is composed of them."""

from __future__ import annotations

from umbel.canvas.composed import chain, chord, group
from umbel.canvas.signature import Signature, maybe_signature, signature

__all__ = ["Signature", "chain", "chord", "group", "maybe_signature", "signature"]
