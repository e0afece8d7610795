"""Which messages a workflow starts with.

A chain starts with its first step, which carries the others (last first); a group with all of its members; a chord with
its header's members, each of which carries the body. What follows later is in the hands of :mod:`umbel.canvas.continuation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.canvas.freezing import OF_EACH, OF_THE_LAST, merge_options, without_header_id

__all__ = ["PlannedCall", "plan", "unchained"]

#: Options of a chord that its body has too, though it is sent much later.
_OF_THE_BODY: Final = ("root_id", "reply_to", "replaced_task_nesting")


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
    kind = frozen["subtask_type"]
    if kind is None:
        return [_call(frozen, args, kwargs, options)]
    own = without_header_id(frozen) if kind == "chord" else frozen["options"]
    given = merge_options(own, options or {})
    if frozen["immutable"]:
        args, kwargs = (), None
    args = (*args, *frozen["args"])
    if kind == "chain":
        return _plan_chain(frozen, args, kwargs, given)
    if kind == "group":
        return _plan_group(frozen, args, kwargs, given)
    return _plan_chord(frozen, args, kwargs, given)


def _call(
    frozen: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
) -> PlannedCall:
    """Return the call of a single task. What needs no merging is not copied: groups have thousands of these."""
    own_args, own_kwargs, given = frozen["args"], frozen["kwargs"], frozen["options"]
    if not frozen["immutable"]:
        if args:
            own_args = (*args, *own_args)
        if kwargs:
            own_kwargs = {**own_kwargs, **kwargs}
    return PlannedCall(frozen["task"], own_args, own_kwargs, merge_options(given, options) if options else given)


def _plan_chain(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    first, of_first = _first_step(frozen["kwargs"]["tasks"], options)
    return plan(first, args, kwargs, of_first)


def _first_step(
    tasks: Sequence[Mapping[str, Any]], options: dict[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the first of *tasks* and the options with which a chain under *options* calls it."""
    first, *others = tasks
    after = list(options.pop("chain", None) or ())
    if others:
        # Where the chain stands in a group or chord is known to its last step, wherever the options came from.
        last_own = {name: options.pop(name) for name in OF_THE_LAST if name in options}
        if last_own:
            others[-1] = {**others[-1], "options": merge_options(others[-1]["options"], last_own)}
        if options.get("link_error"):  # whichever step fails
            over = {"link_error": options["link_error"]}
            others = [{**step, "options": merge_options(step["options"], over)} for step in others]
    return first, {**options, "chain": [*after, *reversed(others)]} if others or after else options


def unchained(frozen: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a frozen chain that begins with a single task as that task, which the others follow; else *frozen* itself.

    Both are sent as the same messages, as long as no place in a group or chord is added.
    """
    if frozen["subtask_type"] != "chain" or frozen["kwargs"]["tasks"][0]["subtask_type"] is not None:
        return frozen
    first, options = _first_step(frozen["kwargs"]["tasks"], dict(frozen["options"]))
    immutable = bool(frozen["immutable"] or first["immutable"])
    args = tuple(first["args"]) if first["immutable"] else (*frozen["args"], *first["args"])
    return {**first, "args": args, "immutable": immutable, "options": merge_options(first["options"], options)}


def _shared(options: Mapping[str, Any]) -> dict[str, Any]:
    shared = {name: options[name] for name in OF_EACH if name in options}
    for name in options.get("stamped_headers") or ():
        if name in options:
            shared[name] = options[name]
    return shared


def _plan_group(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    after = list(options.pop("chain", None) or ())
    if after or options.get("chord") is not None:  # something follows, with all the results: that is a chord
        header = {**frozen, "args": (), "immutable": False}  # its arguments are among those given
        body = after.pop() if after else _gathering(frozen, options)
        return _plan_header(header, body, after, args, kwargs, options)
    calls: list[PlannedCall] = []
    shared = _shared(options)
    for member in frozen["kwargs"]["tasks"]:
        calls += plan(member, args, kwargs, shared)
    return calls


def _gathering(frozen: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that hands a group's list of results on, where the group is one member of a chord's header.

    It has the group's id: an id that the group has whoever plans it, and however often.
    """
    place = {name: options[name] for name in OF_THE_LAST if name in options}
    return {
        "task": "celery.accumulate",
        "args": (),
        "kwargs": {"index": 0},
        "options": {**place, "task_id": frozen["options"]["task_id"]},
        "subtask_type": None,
        "immutable": False,
    }


def _plan_chord(
    frozen: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> list[PlannedCall]:
    after = list(options.pop("chain", None) or ())
    body = frozen["kwargs"]["body"]
    # A chord within a chord's header, or in a group: its end is the end of its body. So is whom to tell of its failure.
    own = {name: options.pop(name) for name in (*OF_THE_LAST, "link_error") if name in options}
    if own:
        body = {**body, "options": merge_options(body["options"], own)}
    return _plan_header(frozen["kwargs"]["header"], body, after, args, kwargs, options)


def _plan_header(
    header: Mapping[str, Any],
    body: Mapping[str, Any],
    after: list[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> list[PlannedCall]:
    members = header["kwargs"]["tasks"]
    group_id = header["options"]["task_id"]
    shared = _shared(merge_options(header["options"], options))
    given = {name: options[name] for name in _OF_THE_BODY if options.get(name) is not None}
    body = {**body, "options": {**given, **body["options"]}}
    if after:
        body["options"]["chain"] = [*after, *(body["options"].get("chain") or ())]
    if not members:  # nothing to wait for
        return plan(body, ([],), None, _shared(options))
    body["options"].setdefault("group_id", group_id)
    body["chord_size"] = len(members)
    if header["immutable"]:
        args, kwargs = (), None
    args = (*args, *header["args"])
    calls: list[PlannedCall] = []
    for index, member in enumerate(members):
        place = {**shared, "chord": body, "group_id": group_id, "group_index": index}
        calls += plan(member, args, kwargs, place)
    return calls
