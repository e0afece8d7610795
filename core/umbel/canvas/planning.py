"""Which messages a workflow starts with.

A chain starts with its first step, which carries the others (last first); a group with all of its members; a chord with
its header's members, each of which carries the body. What follows later is in the hands of :mod:`umbel.canvas.continuation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from umbel.canvas.freezing import OF_THE_LAST

__all__ = ["PlannedCall", "plan"]


@attrs.define(eq=False)
class PlannedCall:
    """One message to send: the task's name, its arguments, and all options of the call."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: dict[str, Any]


def plan(
    frozen: Mapping[str, Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[PlannedCall]:
    """Return the first calls of a *frozen* signature that is given *args* and *kwargs*.

    *options* stand over the signature's. ``chain`` in them is what follows all of this, last first.
    """
    given = {**frozen["options"], **(options or {})}
    if frozen["immutable"]:
        args, kwargs = (), None
    args = (*args, *frozen["args"])
    kind = frozen["subtask_type"]
    if kind == "chain":
        return _plan_chain(frozen, args, kwargs, given)
    if kind == "group":
        return _plan_group(frozen, args, kwargs, given)
    if kind == "chord":
        return _plan_chord(frozen, args, kwargs, given)
    return [PlannedCall(frozen["task"], args, {**frozen["kwargs"], **(kwargs or {})}, given)]


def _plan_chain(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    first, *others = frozen["kwargs"]["tasks"]
    after = list(options.pop("chain", None) or ())
    if others:
        # Where the chain stands in a group or chord is known to its last step, wherever the options came from.
        last_own = {name: options.pop(name) for name in OF_THE_LAST if name in options}
        if last_own:
            others[-1] = {**others[-1], "options": {**others[-1]["options"], **last_own}}
    return plan(first, args, kwargs, {**options, "chain": [*after, *reversed(others)]} if others or after else options)


#: Options of a group, chord or chain that each of its messages has.
_OF_EACH = ("root_id", "parent_id", "priority", "queue", "exchange", "routing_key", "countdown", "eta", "expires",
            "headers", "serializer", "compression", "reply_to", "retry", "retry_policy", "timeout", "ignore_result",
            "stamped_headers", "stamps", "link_error")  # fmt: skip


def _shared(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _OF_EACH if name in options}


def _plan_group(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    after = list(options.get("chain") or ())
    if after:  # something follows, with all the results: that is a chord
        body = after.pop()
        return _plan_header(frozen, body, after, args, kwargs, options)
    calls: list[PlannedCall] = []
    chord = options.get("chord")
    for member in frozen["kwargs"]["tasks"]:
        own = _shared(options)
        if chord is not None:
            own["chord"] = chord
        calls.extend(plan(member, args, kwargs, own))
    return calls


def _plan_chord(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    after = list(options.pop("chain", None) or ())
    body = frozen["kwargs"]["body"]
    # A chord within a chord's header, or in a group: its end is the end of its body.
    own = {name: options[name] for name in OF_THE_LAST if name in options}
    if own:
        body = {**body, "options": {**body["options"], **own}}
    return _plan_header(frozen["kwargs"]["header"], body, after, args, kwargs, options)


def _plan_header(
    header: Mapping[str, Any],
    body: Mapping[str, Any],
    after: list[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> list[PlannedCall]:
    body = dict(body)
    if after:
        body["options"] = {**body["options"], "chain": [*after, *(body["options"].get("chain") or ())]}
    group_id = header["options"]["task_id"]
    members = list(_ends(header))
    if not members:  # nothing to wait for
        return plan(body, ([],), None, _shared(options))
    body["options"] = {**body["options"], **({} if "group_id" in body["options"] else {"group_id": group_id})}
    body["chord_size"] = len(members)
    calls: list[PlannedCall] = []
    for index, member in enumerate(members):
        place = {"chord": body, "group_id": group_id, "group_index": index}
        calls.extend(plan(member, (*args, *header["args"]), kwargs, {**_shared(options), **place}))
    return calls


def _ends(header: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the members of a header with inner groups dissolved: each adds one part to the chord."""
    found: list[Mapping[str, Any]] = []
    for member in header["kwargs"]["tasks"]:
        found.extend(_ends(member) if member["subtask_type"] == "group" else [member])
    return found
