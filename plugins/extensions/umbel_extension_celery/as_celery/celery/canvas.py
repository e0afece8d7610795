"""Workflows."""

from __future__ import annotations

from umbel.canvas import (
    Signature,
    StampingVisitor,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    maybe_subtask,
    signature,
    subtask,
    xmap,
    xstarmap,
)

__all__ = [
    "Signature",
    "StampingVisitor",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
