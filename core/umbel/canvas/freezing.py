"""Ids for every task of a workflow, given before anything is sent, on copies: a signature itself never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import FreshIds
from umbel.calling.links import as_signatures
from umbel.results import AsyncResult, GroupResult

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results.sets import Member
    from umbel.spi import ResultBackend

__all__ = [
    "OF_EACH",
    "OF_THE_LAST",
    "Frozen",
    "chain_steps",
    "freeze",
    "merge_options",
    "single_tasks",
    "without_header_id",
]

Frozen = dict[str, Any]

#: Options that belong to the end of a chain, and of a chord.
OF_THE_LAST: Final[tuple[str, ...]] = ("chord", "group_id", "group_index", "link", "task_id")
#: Options of a group, chord or chain that each of its messages has.
OF_EACH: Final[tuple[str, ...]] = ("root_id", "parent_id", "priority", "queue", "exchange", "routing_key", "countdown", "eta", "expires",
                  "headers", "serializer", "compression", "reply_to", "retry", "retry_policy", "timeout",
                  "ignore_result", "stamped_headers", "stamps", "link_error", "time_limit", "soft_time_limit",
                  "delivery_mode", "replaced_task_nesting")  # fmt: skip
_LINKS: Final = ("link", "link_error")
_OF_THE_START: Final = ("countdown", "eta")


def freeze(
    app: Umbel, value: Mapping[str, Any], parent: Member | None = None, new: Callable[[], str] | None = None
) -> tuple[Frozen, Member]:
    """Return *value* as a plain signature in which everything has its id, and the result that sending it will have.

    Ids that are there already are kept, *new* gives the others (fresh ones without it). *parent* is the result of the step before. Raises
    ``TypeError`` and ``ValueError`` for what can never be sent.
    """
    return _Freezer(app, new or FreshIds()).freeze(value, parent)


def merge_options(own: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return *own* with *over* above it; callbacks and errbacks of both are kept."""
    merged = {**own, **over}
    if not over:
        return merged
    for name in _LINKS:
        if own.get(name) and over.get(name):
            first, second = as_signatures(own[name]) or [], as_signatures(over[name]) or []
            merged[name] = [*first, *(link for link in second if link not in first)]
    return merged


def chain_steps(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of a chain with inner chains dissolved, and each group that something follows made a chord."""
    flat: list[Mapping[str, Any]] = []
    for step in value["kwargs"]["tasks"]:
        if step.get("subtask_type") == "chain" and not step.get("options") and not step.get("immutable"):
            inner = chain_steps(step)
            if inner and step["args"] and not inner[0].get("immutable"):
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


def single_tasks(signature: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the single tasks of a frozen signature: those whose results somebody may wait for."""
    kind, kwargs = signature.get("subtask_type"), signature.get("kwargs") or {}
    if kind in {"chain", "group"}:
        parts = kwargs["tasks"]
    elif kind == "chord":
        parts = [kwargs["header"], kwargs["body"]]
    else:
        yield signature
        parts = ()
    for part in parts:
        yield from single_tasks(part)
    for part in reversed((signature.get("options") or {}).get("chain") or ()):
        yield from single_tasks(part)


def _as_chord(header: Mapping[str, Any], body: Mapping[str, Any]) -> Frozen:
    return {
        "task": "celery.chord",
        "args": (),
        "kwargs": {"kwargs": {}, "header": header, "body": body},
        "options": {},
        "subtask_type": "chord",
        "immutable": False,
    }


def _copy(value: Mapping[str, Any], options: dict[str, Any] | None = None) -> Frozen:
    """Return a copy of *value*, with *options* in place of its own where they are given."""
    args, kwargs = value.get("args"), value.get("kwargs")
    frozen = {
        **value,
        "args": tuple(args) if args else (),
        "kwargs": dict(kwargs) if kwargs else {},
        "options": dict(value.get("options") or ()) if options is None else options,
    }
    if "immutable" not in value or "subtask_type" not in value:  # made by hand
        frozen.setdefault("subtask_type", None)
        frozen.setdefault("immutable", False)
    return frozen


def without_header_id(chord: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a frozen *chord* but for its id where that is the header's, as Celery writes it."""
    options = dict(chord.get("options") or {})
    header = chord["kwargs"]["header"]
    if isinstance(header, Mapping) and options.get("task_id") == (header.get("options") or {}).get("task_id"):
        options.pop("task_id", None)
    return options


def _members(group: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the members of a group; a group in a group is dissolved into it, as in Celery."""
    for member in group["kwargs"]["tasks"]:
        if member.get("subtask_type") != "group":
            yield member
            continue
        options = member.get("options") or {}
        shared = {name: options[name] for name in OF_EACH if name in options}
        for inner in _members(member):
            args = tuple(inner.get("args") or ())
            yield {
                **inner,
                "args": args if inner.get("immutable") else (*(member.get("args") or ()), *args),
                "options": merge_options(inner.get("options") or {}, shared),
                "immutable": bool(inner.get("immutable") or member.get("immutable")),
            }


class _Freezer:
    """Freezes one signature, with the ids of one giver."""

    def __init__(self, app: Umbel, new: Callable[[], str]) -> None:
        self._app = app
        self._new = new
        self._stores: dict[str | None, ResultBackend | str | None] = {}
        # Where results are sent and not kept: a Celery worker that sends the next step looks for the address here.
        self._reply_to = app.reply_to if app.reply_to != app.oid else None

    def freeze(self, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
        kind = value.get("subtask_type")
        if kind == "chain":
            return self._chain(value, parent)
        if kind == "group":
            return self._group(value, parent)
        if kind == "chord":
            return self._chord(value, parent)
        return self._single(value, dict(value.get("options") or ()), parent)

    def _single(
        self, value: Mapping[str, Any], options: dict[str, Any], parent: Member | None
    ) -> tuple[Frozen, Member]:
        """Freeze the call of one task, under *options* that are its own already."""
        task_id = options.get("task_id")
        if not task_id:
            task_id = options["task_id"] = self._new()
        if self._reply_to is not None:
            options.setdefault("reply_to", self._reply_to)
        name = value["task"]
        if name not in self._stores:
            task = self._app.tasks.get(name)
            self._stores[name] = None if task is None else task.backend_url
        return _copy(value, options), AsyncResult(task_id, self._stores[name], None, self._app, parent)

    def _chain(self, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
        frozen = _copy(value)
        steps = chain_steps(value)
        if not steps:
            raise ValueError("chain: expected at least one task, got none")
        # Its id, its callbacks and its place in a group are those of its last step; the rest is asked of the first.
        options = frozen["options"]
        last = {name: options[name] for name in OF_THE_LAST if options.get(name) is not None}
        first = {name: value for name, value in options.items() if name not in {*OF_THE_LAST, "link_error", "chain"}}
        of_all = {"link_error": options["link_error"]} if options.get("link_error") else {}
        done: list[Frozen] = []
        for index, step in enumerate(steps):
            own = merge_options(step.get("options") or {}, of_all)
            if index == 0:
                own.update(first)
            if index == len(steps) - 1:
                own = merge_options(own, last)
            step_frozen, parent = self.freeze({**step, "options": own}, parent)
            done.append(step_frozen)
        frozen["kwargs"]["tasks"] = done
        frozen["options"] = {"chain": options["chain"]} if options.get("chain") else {}  # what follows all of it
        if parent is None:
            raise AssertionError("a chain has at least one step")
        return frozen, parent

    def _group(self, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
        frozen = _copy(value)
        options = frozen["options"]
        if options.get("link"):
            raise TypeError(
                "a group has no one result to call back with: expected group(...) | callback, which calls it with the "
                "list of all results, or link= at its members; got link= at the group"
            )
        group_id = options.get("task_id") or self._new()
        options["task_id"] = group_id
        members: list[Frozen] = []
        results: list[Member] = []
        for index, member in enumerate(_members(frozen)):
            place = {**(member.get("options") or {}), "group_id": group_id, "group_index": index}
            if member.get("subtask_type") is None:
                member_frozen, result = self._single(member, place, parent)
            else:
                member_frozen, result = self.freeze({**member, "options": place}, parent)
            members.append(member_frozen)
            results.append(result)
        frozen["kwargs"]["tasks"] = members
        group = GroupResult(group_id, results, app=self._app, parent=parent)
        group.check_store()
        return frozen, group

    def _chord(self, value: Mapping[str, Any], parent: Member | None) -> tuple[Frozen, Member]:
        frozen = _copy(value)
        body, header = frozen["kwargs"].get("body"), frozen["kwargs"]["header"]
        if body is None:
            raise TypeError("chord: expected a body, the task that gets the results; got none: chord(header, body)")
        # What is asked of a chord is asked of its header and of its body; when to start is up to the header, and what
        # happens at the end to the body.
        asked = without_header_id(frozen)
        of_header = {name: asked[name] for name in OF_EACH if name in asked and name not in _LINKS}
        of_body = {name: value for name, value in asked.items() if name not in _OF_THE_START}
        options = merge_options(body.get("options") or {}, of_body)
        if self._app.conf.task_allow_error_cb_on_chord_header and options.get("link_error"):
            of_header["link_error"] = options["link_error"]
        header = {**header, "options": merge_options(header.get("options") or {}, of_header)}
        header_frozen, header_result = self.freeze(header, parent)
        body_frozen, body_result = self.freeze({**body, "options": options}, header_result)
        frozen["kwargs"].update(header=header_frozen, body=body_frozen)
        # A Celery worker looks here for the header's id, which its parts count under.
        frozen["options"] = {"task_id": header_frozen["options"]["task_id"]}
        return frozen, body_result
