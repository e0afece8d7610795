"""Random trees of tasks over a real worker, with failures, retries, redeliveries and revocations, against a plain model.

The model says which calls are made, with which arguments, and what the result is; the order of cause and effect is in
the arguments, since each step is called with the value of the one before it.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel import Reject, Task, Umbel, chain, chord, group
from umbel.canvas import records
from umbel.exceptions import ChordError, TaskRevokedError
from umbel.states import READY_STATES

DEADLINE_S = 20.0


class Broken(Exception):
    """An error of the test's own."""


# -- trees ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Leaf:
    kind: str
    takes: bool


@attrs.frozen
class Node:
    kind: str
    parts: tuple[Any, ...]


LEAVES = st.builds(
    Leaf,
    st.sampled_from(["ok"] * 8 + ["retried", "redelivered", "twice", "fail", "revoked"]),
    st.sampled_from([True, True, True, False]),
)


def _grow(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(children, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.builds(Node, st.just("chain"), several),
        st.builds(Node, st.just("group"), st.lists(children, max_size=4).map(tuple)),
        st.builds(lambda header, body: Node("chord", (*header, body)), st.lists(children, max_size=4), children),
    )


TREES = st.recursive(LEAVES, _grow, max_leaves=12)


# -- the model --------------------------------------------------------------------------------------------------------


class Failed(Exception):
    """Some call had no result; the argument is the error that the result has, ``None`` where several are possible."""


@attrs.define
class Model:
    """Runs a tree as plain functions. *calls* are (number of the leaf, arguments)."""

    calls: set[tuple[int, str]] = attrs.field(factory=set)
    numbers: dict[int, int] = attrs.field(factory=dict)

    def run(self, tree: Any, args: tuple[Any, ...], numbering: Numbering) -> Any:
        if isinstance(tree, Leaf):
            return self._call(tree, args, numbering.number(tree))
        if tree.kind == "group":
            return self._all(tree.parts, args, numbering)
        if tree.kind == "chord":
            return self._then(tree.parts[:-1], tree.parts[-1], args, numbering)
        return self._chain(_steps(tree), args, numbering)

    def _call(self, leaf: Leaf, args: tuple[Any, ...], number: int) -> Any:
        args = args if leaf.takes else ()
        if leaf.kind == "revoked":
            raise Failed(TaskRevokedError)
        self.calls.add((number, json.dumps(args)))
        if leaf.kind == "fail":
            raise Failed(Broken)
        return [number, *args]

    def _chain(self, steps: list[Any], args: tuple[Any, ...], numbering: Numbering) -> Any:
        first, *others = steps
        if not others:
            return self.run(first, args, numbering)
        if isinstance(first, Node) and first.kind == "group":
            return self._chain([Node("chord", (*first.parts, others[0])), *others[1:]], args, numbering)
        if isinstance(first, Node) and first.kind == "chord":  # what follows a chord follows its body
            *header, body = first.parts
            return self._then(tuple(header), Node("chain", (body, *others)), args, numbering)
        return self._chain(others, (self.run(first, args, numbering),), numbering)

    def _all(self, parts: tuple[Any, ...], args: tuple[Any, ...], numbering: Numbering) -> list[Any]:
        values, failures = [], []
        for part in _members(parts):
            try:
                values.append(self.run(part, args, numbering))
            except Failed as failure:
                failures.append(failure)
        if failures:
            raise Failed(failures[0].args[0] if len(failures) == 1 else None)
        return values

    def _then(self, header: tuple[Any, ...], body: Any, args: tuple[Any, ...], numbering: Numbering) -> Any:
        try:
            values = self._all(header, args, numbering)
        except Failed:
            raise Failed(ChordError) from None
        return self.run(body, (values,), numbering)


def _members(parts: tuple[Any, ...]) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        found.extend(_members(part.parts) if isinstance(part, Node) and part.kind == "group" else [part])
    return found


def _steps(tree: Node) -> list[Any]:
    found: list[Any] = []
    for part in tree.parts:
        found.extend(_steps(part) if isinstance(part, Node) and part.kind == "chain" else [part])
    return found


class Numbering:
    """Numbers of leaves: by identity, since equal leaves stand in many places."""

    def __init__(self, tree: Any) -> None:
        self.leaves: list[Leaf] = []
        self.tree = self._copy(tree)

    def _copy(self, tree: Any) -> Any:
        if isinstance(tree, Leaf):
            self.leaves.append(Leaf(tree.kind, tree.takes))
            return self.leaves[-1]
        return Node(tree.kind, tuple(self._copy(part) for part in tree.parts))

    def number(self, leaf: Leaf) -> int:
        return next(number for number, known in enumerate(self.leaves) if known is leaf)


# -- the real thing ---------------------------------------------------------------------------------------------------


class Real:
    """The tasks of the application, and the calls that were made of them."""

    def __init__(self, app: Umbel) -> None:
        self.app = app
        #: Of each example: what is left over of one must not be taken for a call of the next.
        self.calls: dict[int, set[tuple[int, str]]] = {}
        self.example = 0
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()

        @app.task(name="leaf", bind=True)
        def leaf(task: Task[..., Any], *args: Any, number: int, kind: str, example: int) -> Any:
            return self.run(task, args, number, kind, self.calls[example])

        self.leaf = leaf

    def run(self, task: Task[..., Any], args: tuple[Any, ...], number: int, kind: str, calls: Any) -> Any:
        request = task.request
        with self.lock:
            count = self.counts[str(request.id)] = self.counts.get(str(request.id), 0) + 1
        if kind == "retried" and not request.retries:
            raise task.retry(countdown=0)
        if kind == "redelivered" and count == 1:
            raise Reject("come again", requeue=True)
        if kind == "twice" and count == 1:
            self.app.publisher.send(self.app.workflows.prepare(task.signature_from_request()))
        with self.lock:
            calls.add((number, json.dumps(args)))
        if kind == "fail":
            raise Broken(number)
        return [number, *args]

    def signature(self, tree: Any, numbering: Numbering) -> Any:
        if isinstance(tree, Leaf):
            make = self.leaf.s if tree.takes else self.leaf.si
            return make(number=numbering.number(tree), kind=tree.kind, example=self.example)
        parts = [self.signature(part, numbering) for part in tree.parts]
        if tree.kind == "chord":
            return chord(parts[:-1], parts[-1])
        return {"chain": chain, "group": group}[tree.kind](parts, app=self.app)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.mark.parametrize("storage", ["embedded", "stored"])
def test_random_trees_run_as_the_model_says(
    umbel_app: Umbel, umbel_worker: Any, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    umbel_app.conf.task_workflow_storage = storage
    monkeypatch.setattr(records, "_INLINE_BYTES", 0)  # however short a chain is
    real = Real(umbel_app)

    def revoke(held: Any) -> Any:
        (_, kwargs, _) = json.loads(held.delivery.message.body)
        is_revoked = kwargs.get("kind") == "revoked"
        return umbel_worker.failures.revoked(held, "revoked") if is_revoked else None

    umbel_worker.admission.gates.append(revoke)

    every: list[Any] = list(HealthCheck)  # Hypothesis types them as their metaclass

    @settings(max_examples=80, deadline=None, suppress_health_check=every)
    @given(TREES)
    def check(tree: Any) -> None:
        numbering = Numbering(tree)
        real.example += 1
        calls = real.calls[real.example] = set()
        signature = real.signature(numbering.tree, numbering)
        before = json.dumps(signature)
        model = Model()
        try:
            expected, failure = model.run(numbering.tree, (), numbering), None
        except Failed as failed:
            expected, failure = None, failed
        frozen, result = umbel_app.workflows.freeze(signature)
        from_dict = type(signature).from_dict(frozen, umbel_app)
        result = from_dict.apply_async()
        value = result.get(timeout=DEADLINE_S, propagate=False)
        wait_for(lambda: calls == model.calls)
        assert calls == model.calls
        if failure is None:
            assert value == expected
        elif failure.args[0] is not None and hasattr(result, "result"):
            assert isinstance(value, failure.args[0])
        assert json.dumps(signature) == before
        for leaf in _leaves(result):
            wait_for(lambda leaf=leaf: leaf.state in READY_STATES)
            assert leaf.state in READY_STATES

    check()


def _leaves(result: Any) -> list[Any]:
    found: list[Any] = []
    while result is not None:
        found.extend(result.leaves() if hasattr(result, "leaves") else [result])
        result = result.parent
    return found
