"""Ids for every task of a workflow, given before anything is sent, on copies: a signature itself never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import new_id
from umbel.calling.links import as_signatures
from umbel.results import AsyncResult, GroupResult

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results.sets import Member

__all__ = ["OF_THE_LAST", "Frozen", "chain_steps", "freeze"]

Frozen = dict[str, Any]

#: Options that belong to the end of a chain, and of a chord.
OF_THE_LAST: Final = ("chord", "group_id", "group_index", "link", "task_id")


def freeze(app: Umbel, value: Mapping[str, Any], parent: Member | None = None) -> tuple[Frozen, Member]:
    """Return *value* as a plain signature in which everything has its id, and the result that sending it will have.

    Ids that are there already are kept. *parent* is the result of the step before.
    """
    kind = value.get("subtask_type")
    if kind == "chain":
        return _freeze_chain(app, value, parent)
    if kind == "group":
        return _freeze_group(app, value, parent)
    if kind == "chord":
        return _freeze_chord(app, value, parent)
    frozen = _copy(value)
    task_id = frozen["options"].setdefault("task_id", new_id())
    return frozen, AsyncResult(task_id, app=app, parent=parent)


def chain_steps(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of a chain with inner chains dissolved, and each group that something follows made a chord."""
    flat: list[Mapping[str, Any]] = []
    for step in value["kwargs"]["tasks"]:
        if step.get("subtask_type") == "chain" and not step["options"]:
            inner = chain_steps(step)
            if inner and step["args"]:
                inner[0] = {**inner[0], "args": (*step["args"], *inner[0]["args"])}
            flat.extend(inner)
        else:
            flat.append(step)
    steps: list[Mapping[str, Any]] = []
    for step in flat:
        if steps and steps[-1].get("subtask_type") == "group":
            steps[-1] = _as_chord(steps[-1], step)
        else:
            steps.append(step)
    return steps


def _as_chord(header: Mapping[str, Any], body: Mapping[str, Any]) -> Frozen:
    return {
        "task": "celery.chord",
        "args": (),
        "kwargs": {"kwargs": {}, "header": header, "body": body},
        "options": {},
        "subtask_type": "chord",
        "immutable": False,
    }


def _copy(value: Mapping[str, Any]) -> Frozen:
    frozen = dict(value)
    frozen["kwargs"], frozen["options"] = dict(value.get("kwargs") or {}), dict(value.get("options") or {})
    frozen["args"] = tuple(value.get("args") or ())
    frozen.setdefault("subtask_type", None)
    frozen.setdefault("immutable", False)
    return frozen


def _freeze_chain(app: Umbel, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
    frozen = _copy(value)
    steps = chain_steps(value)
    if not steps:
        raise ValueError("chain: expected at least one task, got none")
    # Its id, its callbacks and its place in a group are those of its last step; the rest is asked of the first.
    options = frozen["options"]
    last = {name: options[name] for name in OF_THE_LAST if options.get(name) is not None}
    first = {name: value for name, value in options.items() if name not in last and name != "link_error"}
    done: list[Frozen] = []
    for index, step in enumerate(steps):
        own: dict[str, Any] = dict(step.get("options") or {})
        if index == 0:
            own.update(first)
        if index == len(steps) - 1:
            own.update(last, **({"link": _joined(own, last, "link")} if "link" in last else {}))
        if options.get("link_error"):
            own["link_error"] = _joined(own, options, "link_error")
        step_frozen, parent = freeze(app, {**step, "options": own}, parent)
        done.append(step_frozen)
    frozen["kwargs"]["tasks"] = done
    frozen["options"] = {}
    if parent is None:
        raise AssertionError("a chain has at least one step")
    return frozen, parent


def _freeze_group(app: Umbel, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
    frozen = _copy(value)
    group_id = frozen["options"].setdefault("task_id", new_id())
    members: list[Frozen] = []
    results: list[Member] = []
    for index, member in enumerate(frozen["kwargs"]["tasks"]):
        options = {**(member.get("options") or {}), "group_id": group_id, "group_index": index}
        member_frozen, result = freeze(app, {**member, "options": options}, parent)
        members.append(member_frozen)
        results.append(result)
    frozen["kwargs"]["tasks"] = members
    return frozen, GroupResult(group_id, results, app=app, parent=parent)


def _freeze_chord(app: Umbel, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
    frozen = _copy(value)
    body = frozen["kwargs"].get("body")
    if body is None:
        raise TypeError("chord: expected a body, the task that gets the results; got none: chord(header, body)")
    header, header_result = freeze(app, frozen["kwargs"]["header"], parent)
    # What is asked of a chord is asked of its body.
    options = {**(body.get("options") or {}), **frozen["options"]}
    body_frozen, body_result = freeze(app, {**body, "options": options}, header_result)
    frozen["kwargs"].update(header=header, body=body_frozen)
    frozen["options"] = {}
    return frozen, body_result


def _joined(own: Mapping[str, Any], others: Mapping[str, Any], option: str) -> list[Any]:
    return [*(as_signatures(own.get(option)) or ()), *(as_signatures(others.get(option)) or ())]
