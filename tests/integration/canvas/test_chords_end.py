"""Every chord ends: with its body called once, or with ``ChordError`` stored as the body's failure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from umbel import Umbel, chain, chord, group
from umbel.exceptions import ChordError, RemoteError

SOON_S = 20


def test_structures_that_end_well(tasks: Any, umbel_worker: Any) -> None:
    """[C011] Chain in group in chord, chord of chords, nested and empty groups, chord and then a chain."""
    add, total, ident = tasks.add, tasks.total, tasks.ident
    two = group(ident.s(1), ident.s(2))
    expected: list[tuple[Any, Any]] = [
        (two | total.s(), 3),
        (two | total.s() | add.s(10) | add.s(100), 113),
        (chain(ident.s(4), group(add.s(1), chain(add.s(2), add.s(3))), total.s()), 14),
        (chord([two, ident.s(3)], ident.s()), [1, 2, 3]),
        (chord([chord([ident.s(1), ident.s(2)], total.s()), chord([ident.s(3)], total.s())], ident.s()), [3, 3]),
        (chord([group()], ident.s()), []),
        (chord([], ident.s()), []),
        (chain(ident.s(5), group(), ident.s()), []),
        (chord([chain(ident.s(5), group())], ident.s()), [[]]),
        (chord(group(chain(ident.s(42), group(ident.s(), ident.s()))), ident.s()), [[42, 42]]),
        (chord([chain(ident.s(1), group(ident.s(), ident.s())), ident.s(2)], ident.s()), [[1, 1], 2]),
        (chord([chord([ident.s(1)], group(ident.s(), ident.s())), ident.s(2)], ident.s()), [[[1], [1]], 2]),
        (chord([ident.s(1), ident.s(2)], chain(total.s(), add.s(1))), 4),
        (chord([ident.s(1)], chord([total.s(), total.s()], total.s())), 2),
        (chain(chord([ident.s(1)], group(total.s(), total.s())), total.s()), 2),
        (chain(add.s(1, 1), chain(add.s(1), group(ident.s(), ident.s())), total.s()), 6),
        (chain(chord([ident.s(1)], chain(ident.s(), total.s())), add.s(1), add.s(1)), 3),
        (chain(group(ident.s(1)), group(total.s(), total.s()), total.s()), 2),
        (chord([tasks.flaky.s(1), tasks.flaky.s(2)], total.s()), 3),
        (group(ident.s(1), group(ident.s(2), group(ident.s(3)))), [1, 2, 3]),
        (group(add.s(1), group(add.s(2), add.s(3))).clone((10,)), [11, 12, 13]),
        (chain(ident.s(1), group(add.s(1), add.s(2))), [2, 3]),
        (chain(ident.s(1), chain(ident.s(9), ident.s()).set(immutable=True)), 9),
        (group(chain(ident.s(1), add.s(1)), ident.s(5)), [2, 5]),
    ]
    results = [signature.apply_async() for signature, _ in expected]
    got = [result.get(timeout=SOON_S) for result in results]
    assert got == [value for _, value in expected]


@pytest.mark.parametrize("breaking", ["fail", "ignored", "rejected", "odd", "unknown", "expired", "parked", "revoked"])
@pytest.mark.parametrize("where", ["member", "first step of a member", "inner chord", "inner body"])
def test_a_member_without_a_result_ends_the_chord_and_what_is_around_it(
    umbel_app: Umbel, tasks: Any, umbel_worker: Any, breaking: str, where: str
) -> None:
    """Whatever becomes of a member: ``ChordError`` is the result of the body, and its errbacks are called, once."""
    umbel_app.conf.task_unknown_retry_s = 0
    ident = tasks.ident
    if breaking == "unknown":
        broken = umbel_app.signature("nobody.knows", args=(1,))
    elif breaking == "expired":
        broken = ident.si(1).set(expires=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    elif breaking == "parked":
        broken = ident.si(1).set(headers={"eta": "never"})
    elif breaking == "revoked":
        umbel_worker.admission.gates.append(
            lambda held: umbel_worker.failures.revoked(held, "revoked") if held.name == "fail" else None
        )
        broken = tasks.fail.si()
    else:
        broken = getattr(tasks, breaking).si()
    member = {
        "member": broken,
        "first step of a member": chain(broken, ident.s(), ident.s()),
        "inner chord": chord([ident.s(1), broken], chain(ident.s(), ident.s())),
        "inner body": chord([ident.s(1)], chain(broken, group(ident.s(), ident.s()))),
    }[where]
    body = chain(ident.s(), ident.s()).on_error(tasks.handle.s())
    result = chord([ident.s(0), member, ident.s(2)], body).apply_async()
    with pytest.raises(ChordError, match=r"Dependency .* raised"):
        umbel_app.AsyncResult(result.id).get(timeout=SOON_S)
    assert umbel_app.AsyncResult(result.parent.id).state == "FAILURE"
    assert tasks.wait(1) == [("handle", result.parent.id, "ChordError")]


def test_steps_that_are_never_reached_end_with_the_step_that_failed(
    umbel_app: Umbel, tasks: Any, umbel_worker: Any
) -> None:
    """Each result of a chain can be waited for, by its id alone."""
    ident = tasks.ident
    result = chain(tasks.fail.s(), group(ident.s(), ident.s()), ident.s(), group(ident.s(), ident.s())).apply_async()
    with pytest.raises(Exception, match="because") as raised:
        result.get(timeout=SOON_S)
    assert type(raised.value).__name__ == "Broken"
    assert [umbel_app.AsyncResult(leaf.id).state for leaf in result.leaves()] == ["FAILURE"] * 2
    assert result.parent.state == "FAILURE"
    assert [leaf.state for leaf in result.parent.parent.leaves()] == ["FAILURE"] * 2
    assert isinstance(raised.value, RemoteError) or raised.value.args == ("because",)


def test_a_chord_of_10_000_is_sent_in_one_batch_and_ends(tasks: Any, umbel_worker: Any) -> None:
    result = chord([tasks.ident.s(index) for index in range(10_000)], tasks.ident.s()).apply_async()
    assert result.get(timeout=60) == list(range(10_000))


def test_a_chain_of_1000(tasks: Any, umbel_worker: Any) -> None:
    result = chain([tasks.add.s(0, 1), *[tasks.add.s(1)] * 999]).apply_async()
    assert result.get(timeout=60) == 1000
    assert len(result.as_list()) == 1000
    depth, found = 0, result.as_tuple()
    while found is not None:
        depth, found = depth + 1, found[0][1]
    assert depth == 1000


def test_a_failed_chain_of_1000_ends_with_all_its_steps(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    result = chain([tasks.fail.s(), *[tasks.add.s(1)] * 999]).apply_async()
    with pytest.raises(Exception, match="because"):
        umbel_app.AsyncResult(result.id).get(timeout=SOON_S)


def test_the_body_knows_its_root_and_parent(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """``WIRE.md`` 5.1: ``parent_id`` is in a chord's body; [2.8]"""

    @umbel_app.task(name="whence", bind=True)
    def whence(task: Any, results: Any) -> list[Any]:
        return [task.request.root_id, task.request.parent_id]

    result = chain(tasks.ident.s(1), group(tasks.ident.s(), tasks.ident.s()), whence.s()).apply_async()
    root = result.parent.parent
    assert result.get(timeout=SOON_S) == [root.id, result.parent[1].id]


def test_errbacks_are_independent_of_each_other(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """One that raises does not stop the others; each form is called."""
    failing = tasks.fail.s()
    failing.link_error(tasks.fail.s())
    failing.link_error(umbel_app.signature("nobody.knows"))
    failing.link_error(tasks.note.si("immutable"))
    failing.link_error(tasks.handle.s())
    failing.link_error(chain(tasks.ident.s(), tasks.note.s()))
    result = failing.apply_async()
    seen = tasks.wait(3)
    assert sorted(seen, key=str) == sorted([("immutable",), ("handle", result.id, "Broken"), (result.id,)], key=str)
