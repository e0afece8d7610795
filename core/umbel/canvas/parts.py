"""The parts that members add to their chord."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.canvas.packing import pack
from umbel.context import Context
from umbel.model import ChordPart
from umbel.protocol.exceptions import exception_to_wire
from umbel.states import SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["chord_part", "is_plain", "part_of"]

logger = logging.getLogger(__name__)


def is_plain(value: object) -> bool:
    """Say whether *value*, an argument of an exception, can travel in any form."""
    return isinstance(value, str | int | float | bool | None)


def chord_part(app: Umbel, request: Context, state: str, value: object) -> ChordPart | None:
    """Return the part that this member adds to its chord; ``None`` outside of a chord.

    *value* is the result, or the exception when *state* is not SUCCESS. Raises
    :class:`~umbel.exceptions.EncodeError` when a result cannot travel.
    """
    if not request.chord or request.group is None or request.id is None:
        return None
    place = {"chord": request.chord, "group_id": request.group, "group_index": request.group_index}
    # Members that it has added leave with its success only.
    return part_of(app, request.id, place, state, value, request.chord_extra if state == SUCCESS else 0)


def part_of(
    app: Umbel, task_id: str, place: Mapping[str, Any], state: str, value: object, extra: int = 0
) -> ChordPart | None:
    """Return the part of the member *task_id* that has *place* in a header; ``None`` where no results are kept."""
    if not app.results.stores:
        logger.error(
            "member %s of chord %s cannot be counted and its body will not run: this worker keeps no results; set "
            "result_backend as in the program that sent the chord",
            task_id,
            place["group_id"],
        )
        return None
    if isinstance(value, BaseException):
        value = exception_to_wire(value, is_plain)
    serializer = app.conf.result_serializer
    body = place["chord"]
    return ChordPart(
        place["group_id"],
        task_id,
        place.get("group_index"),
        state,
        pack(app, value, serializer),
        pack(app, body, serializer),
        body.get("chord_size"),
        app.results.chord_expires_s,
        extra,
    )
