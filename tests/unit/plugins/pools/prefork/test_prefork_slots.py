from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from umbel_pool_prefork._slots import BEGUN, RUNNING, STARTED_NS, Slot, Slots


def slot() -> Slot:
    return Slots(3)[1]


def test_a_fresh_slot_runs_nothing() -> None:
    one = slot()
    assert one.running() is None
    assert not one.begun
    assert list(one.unsent()) == []


def test_job_zero_can_run() -> None:
    one = slot()
    one.words[STARTED_NS] = 77
    one.words[RUNNING] = 0 + 1
    assert one.running() == (0, 77)
    assert one.runs(0)
    assert not one.runs(1)


@given(st.lists(st.tuples(st.integers(0, 2**63), st.binary(max_size=3000), st.integers(0, 2**63)), max_size=30))
def test_the_journal_gives_back_what_fitted(entries: list[tuple[int, bytes, int]]) -> None:
    one = slot()
    kept = [entry for entry in entries if one.note(*entry)]
    assert list(one.unsent()) == kept
    one.handed_over()
    assert list(one.unsent()) == []


def test_the_journal_refuses_what_does_not_fit() -> None:
    one = slot()
    assert not one.note(1, b"x" * 40_000, 1)
    assert one.note(2, b"x" * 30_000, 1)
    assert not one.note(3, b"x" * 3000, 1)
    assert [job_id for job_id, _, _ in one.unsent()] == [2]


def test_slots_do_not_touch() -> None:
    slots = Slots(4)
    full = slots[2]
    while full.note(5, b"\xff" * 100, 1):
        pass
    for index in range(8):
        full.words[index] = 2**64 - 1
    for neighbour in (slots[1], slots[3]):
        assert list(neighbour.words) == [0] * 8
        assert not any(neighbour.journal)


def test_a_forked_process_writes_to_the_same_slot() -> None:
    one = slot()
    pid = os.fork()
    if pid == 0:
        one.words[BEGUN] = 1
        one.note(9, b"from the child", 5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert one.begun
    assert list(one.unsent()) == [(9, b"from the child", 5)]
