"""Workflows: signatures and what is composed of them."""

from __future__ import annotations

from umbel.canvas.batched import chunks, xmap, xstarmap
from umbel.canvas.composed import chain, chord, group
from umbel.canvas.old_names import TaskSet, TaskSetResult, maybe_subtask, subtask
from umbel.canvas.signature import Signature, maybe_signature, signature
from umbel.canvas.stamping import StampingVisitor

__all__ = [
    "Signature",
    "StampingVisitor",
    "TaskSet",
    "TaskSetResult",
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
