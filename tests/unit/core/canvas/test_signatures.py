"""Signatures as values: merging, linking, composing, their dicts."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from umbel import Signature, Umbel, chain, chord, group, maybe_signature, signature


@pytest.fixture
def add(umbel_app: Umbel) -> Any:
    @umbel_app.task(name="tasks.add")
    def add(x: int, y: int) -> int:
        return x + y

    return add


def test_signatures_print_as_calls(add: Any) -> None:
    """[C010]"""
    assert repr(add.s(2, 2)) == "tasks.add(2, 2)"
    assert repr(add.s(2, y=3)) == "tasks.add(2, y=3)"
    assert repr(add.s(2, 2) | add.s(4)) == "tasks.add(2, 2) | tasks.add(4)"


def test_partials_take_further_arguments_in_front(add: Any) -> None:
    """[A318] [C010] [B529]"""
    partial = add.s(2, y=1)
    made = partial.clone((4,), {"y": 5}, countdown=3)
    assert (made.args, made.kwargs, made.options) == ((4, 2), {"y": 5}, {"countdown": 3})
    assert (partial.args, partial.kwargs, partial.options) == ((2,), {"y": 1}, {})
    assert add.si(1, 2).clone((3,)).args == (1, 2)
    assert partial.replace(args=(9,)).args == (9,)
    assert add.signature((2, 2), countdown=10).options == {"countdown": 10}
    assert add.s(1)(2) == 3


def test_a_signature_is_a_plain_dict_in_the_wires_form(add: Any, umbel_app: Umbel) -> None:
    """[A315] [B527] [B528] ``WIRE.md`` 1.3"""
    made = add.s(2, y=3).set(countdown=1)
    wire = json.loads(json.dumps(made))
    assert wire == {
        "task": "tasks.add",
        "args": [2],
        "kwargs": {"y": 3},
        "options": {"countdown": 1},
        "subtask_type": None,
        "immutable": False,
    }
    again = signature(wire, app=umbel_app)
    assert repr(again) == repr(made)
    assert again.type is add
    assert maybe_signature(None) is None
    assert maybe_signature(made) is made
    assert maybe_signature(dict(add.s(2, y=3)), umbel_app) == add.s(2, y=3)
    assert repr(dict(add.s(1, 2)) | add.s(3)) == "tasks.add(1, 2) | tasks.add(3)"


def test_composed_signatures_survive_json(add: Any, umbel_app: Umbel) -> None:
    for made in (
        chain(add.s(1, 2), add.s(3)),
        group(add.s(1, 2), add.s(3, 4)),
        chord([add.s(1, 2)], add.s(3)),
        group([]),
    ):
        wire = json.loads(json.dumps(made))
        again = Signature.from_dict(wire, umbel_app)
        assert type(again) is type(made)
        assert json.loads(json.dumps(again)) == wire
        assert wire["task"] == f"celery.{wire['subtask_type']}"


def test_copies_share_nothing(add: Any) -> None:
    made = add.s(1, [2]).set(queue="a")
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.clone()):
        other.set(queue="b")
        other.kwargs["z"] = 1
        assert made.options == {"queue": "a"}
        assert made.kwargs == {}


def test_linking_twice_is_linking_once(add: Any) -> None:
    """[C011]"""
    made = add.s(1, 2)
    callback = made.link(add.s(3))
    made.link(add.s(3))
    assert made.on_error(add.s(4)) is made
    assert made.options["link"] == [callback]
    assert [len(made.options[name]) for name in ("link", "link_error")] == [1, 1]
    assert len(made.flatten_links()) == 2


def test_what_is_no_signature_is_refused(add: Any) -> None:
    with pytest.raises(TypeError, match=r"expected signatures such as task\.s"):
        chain(add.s(1, 2), add)
    with pytest.raises(TypeError, match="link and link_error: expected a signature"):
        add.apply_async((1, 2), link="tasks.add")
    with pytest.raises(TypeError):
        _ = add.s(1) | 5
    with pytest.raises(ValueError, match="chain: expected at least one task"):
        chain().apply_async()
    with pytest.raises(TypeError, match="chord: expected a body"):
        chord([add.s(1, 2)]).apply_async()


def test_sending_changes_nothing(add: Any, umbel_app: Umbel) -> None:
    """Immutable nodes: ids are given to copies, and a signature can be sent twice."""
    workflow = chain(add.s(1, 2), group(add.s(3), add.s(4)), add.s(5).set(link=[add.s(6)]))
    before = json.dumps(workflow)
    results = [workflow.delay(), workflow.delay()]
    assert json.dumps(workflow) == before
    assert results[0].id != results[1].id


def test_freeze_fixes_the_id(add: Any) -> None:
    """[2.7 freeze]"""
    made = add.s(1, 2)
    result = made.freeze()
    assert made.id == result.id == made.delay().id
    assert add.s(1, 2).freeze("chosen").id == "chosen"


def test_one_message_carries_the_rest_of_a_chain_last_first(add: Any, umbel_app: Umbel) -> None:
    """``WIRE.md`` 1.3: a group that something follows is a chord, and all ids are fixed by the client."""
    workflow = chain(add.s(1, 2), add.s(3), group(add.s(4), add.s(5)), add.s())
    frozen, result = umbel_app.workflows.freeze(workflow)
    from umbel.canvas.planning import plan

    (call,) = plan(frozen)
    assert (call.name, tuple(call.args)) == ("tasks.add", (1, 2))
    upgraded, second = call.options["chain"]
    assert upgraded["subtask_type"] == "chord"
    assert [member["options"]["group_index"] for member in upgraded["kwargs"]["header"]["kwargs"]["tasks"]] == [0, 1]
    assert upgraded["kwargs"]["body"]["options"]["task_id"] == result.id
    assert second["args"] in ((3,), [3])
    assert second["options"]["task_id"]


def test_a_group_sends_each_member_and_a_chord_its_header(add: Any, umbel_app: Umbel) -> None:
    """``WIRE.md`` 1.3"""
    from umbel.canvas.planning import plan

    frozen, result = umbel_app.workflows.freeze(chord([add.s(1, 1), add.s(2, 2)], add.s(5)))
    calls = plan(frozen)
    assert result.parent is not None
    assert [call.options["group_index"] for call in calls] == [0, 1]
    assert {call.options["group_id"] for call in calls} == {result.parent.id}
    for call in calls:
        assert call.options["chord"]["options"]["task_id"] == result.id
        assert call.options["chord"]["options"]["group_id"] == result.parent.id
        assert call.options["chord"]["chord_size"] == 2
