"""How far ahead the broker may push."""

from __future__ import annotations

import pytest

from umbel_transport_amqp.window import Window


def test_the_first_window_is_exactly_what_is_asked_for() -> None:
    window = Window(0, 2000)
    assert window.must_change(3, held=0)
    assert window.change(3, 0, 0, 0) == 3
    assert not window.must_change(3, held=0)


def test_a_fixed_prefetch_is_set_once() -> None:
    window = Window(2, 2000)
    assert window.change(10, 0, 0, 0) == 2
    assert not window.must_change(100, held=2)


def test_what_earlier_consumers_hold_counts_until_it_is_settled() -> None:
    # Three slow tasks are held and a fourth is asked for: the new consumer may hold one, the old ones' make room as they end.
    window = Window(0, 2000)
    window.change(3, 0, 0, 0)
    window._changed_at -= 10
    assert window.must_change(1, held=3)
    assert window.change(1, 3, 3, last_tag=3) == 1
    assert not window.must_change(1, held=3)
    window.settle(2)
    assert window.must_change(2, held=2)


def test_what_the_new_consumer_got_does_not_make_room_of_the_old_ones() -> None:
    window = Window(0, 2000)
    window.change(2, 0, 0, 0)
    window._changed_at -= 10
    window.change(1, 2, 2, last_tag=2)
    window.settle(3)
    assert not window.must_change(1, held=2)


def test_quick_tasks_get_room_for_the_next_batch_too() -> None:
    window = Window(0, 2000)
    window.change(200, 0, 0, 0)
    assert window.size == 400
    assert not window.must_change(200, held=200) or window.change(200, 200, 200, 200) >= 400


def test_it_grows_generously_when_it_has_just_grown() -> None:
    window = Window(0, 2000)
    window.change(1, 0, 0, 0)
    assert window.change(5, 1, 1, 1) >= 6


def test_it_never_grows_beyond_the_most() -> None:
    window = Window(0, 50)
    assert window.change(1000, 0, 0, 0) == 50
    assert not window.must_change(1000, held=0)


def test_it_shrinks_after_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("umbel_transport_amqp.window.time.monotonic", lambda: now[0])
    window = Window(0, 2000)
    window.change(100, 0, 0, 0)
    assert not window.must_change(1, held=0)
    now[0] += 1.5
    assert window.must_change(1, held=0)
    assert window.change(1, 0, 0, 100) == 1
