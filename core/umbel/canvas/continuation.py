"""What follows the end of a task: callbacks, the next step of its chain, its part of a chord, its errbacks.

Called by the worker where the task ran; nothing here talks to a broker or a store. The publications leave with the
commit that stores the task's own result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.model import ChordPart, JoinedChord, Publication, TaskMeta

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.context import Context

__all__ = ["after_failure", "after_success", "chord_body", "chord_part"]


def after_success(app: Umbel, request: Context, result: object) -> list[Publication]:
    """Return what a successful task sends: its callbacks and the next step of its chain, each given *result*.

    The results of what is sent are appended to ``request.children``: call this before the task's own meta is encoded.
    Raises :class:`~umbel.exceptions.EncodeError` when *result* cannot travel as an argument.
    """
    raise NotImplementedError


def after_failure(app: Umbel, request: Context, exc: BaseException, traceback: str | None) -> list[Publication]:
    """Return what a failed (or revoked, or lost) task sends: its errbacks. Never raises for what an errback lacks."""
    raise NotImplementedError


def chord_part(app: Umbel, request: Context, state: str, value: object) -> ChordPart | None:
    """Return the part that this member adds to its chord; ``None`` outside of a chord.

    *value* is the result, or the exception when *state* is not SUCCESS.
    """
    raise NotImplementedError


def chord_body(app: Umbel, joined: JoinedChord) -> tuple[list[Publication], list[TaskMeta]]:
    """Return what ends a chord whose members are all in: the body to send, or its failure and its errbacks.

    With every member successful the body gets the list of results; else a ``ChordError`` naming the first member that
    failed is stored as the body's result and the body's errbacks are sent.
    """
    raise NotImplementedError
