from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from umbel.worker.backoff import Backoff
from umbel.worker.timers import Timers


@pytest.fixture
def timers() -> Iterator[Timers]:
    made = Timers()
    made.start()
    yield made
    made.stop()


def test_calls_come_in_the_order_of_their_times(timers: Timers) -> None:
    seen: list[int] = []
    done = threading.Event()
    timers.call_after(0.05, done.set)
    timers.call_after(0.02, lambda: seen.append(2))
    timers.call_after(0.01, lambda: seen.append(1))
    timers.call_after(-5, lambda: seen.append(0))
    assert done.wait(5)
    assert seen == [0, 1, 2]


def test_a_nearer_deadline_wakes_the_sleeping_thread(timers: Timers) -> None:
    """[B1027] it sleeps until the next deadline, and no longer when a nearer one comes."""
    timers.call_after(60, lambda: None)
    done = threading.Event()
    began = time.monotonic()
    timers.call_after(0.01, done.set)
    assert done.wait(5)
    assert time.monotonic() - began < 1


def test_a_cancelled_call_never_comes(timers: Timers) -> None:
    seen: list[int] = []
    done = threading.Event()
    timers.call_after(0.01, lambda: seen.append(1)).cancel()
    timers.call_after(0.02, done.set)
    assert done.wait(5)
    assert seen == []


def test_a_callback_that_raises_is_logged_and_the_rest_comes(timers: Timers, caplog: pytest.LogCaptureFixture) -> None:
    """[B1005]"""
    done = threading.Event()
    timers.call_after(0, lambda: 1 / 0)  # type: ignore[arg-type]
    timers.call_after(0.01, done.set)
    assert done.wait(5)
    assert "ZeroDivisionError" in caplog.text


def test_a_repeated_call_comes_again_until_it_is_cancelled(timers: Timers) -> None:
    ticks = threading.Semaphore(0)
    timer = timers.call_every(0.001, ticks.release)
    for _ in range(3):
        assert ticks.acquire(timeout=5)
    timer.cancel()


def test_stop_may_be_called_repeatedly_and_from_a_callback() -> None:
    """[B1029]"""
    timers = Timers()
    timers.start()
    done = threading.Event()

    def stop() -> None:
        timers.stop()
        done.set()

    timers.call_after(0, stop)
    assert done.wait(5)
    timers.stop()
    timers.start()
    again = threading.Event()
    timers.call_after(0, again.set)
    assert again.wait(5)
    timers.stop()


def test_call_at_takes_unix_seconds(timers: Timers) -> None:
    done = threading.Event()
    timers.call_at(time.time() - 100, done.set)
    assert done.wait(5)


def test_backoff_grows_to_its_bound_and_begins_again() -> None:
    backoff = Backoff(0.1, 1.0, random_unit=lambda: 0.0)
    assert [round(backoff.next_s(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.tries == 6
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)


def test_backoff_is_shortened_at_random_and_never_overflows() -> None:
    backoff = Backoff(1.0, 8.0)
    for _ in range(2000):
        assert 0.75 <= backoff.next_s() <= 8.0


def test_after_the_tenth_the_tries_of_half_a_minute_count_as_one() -> None:
    now = [0.0]
    backoff = Backoff(0.25, 3.0, random_unit=lambda: 0.0, clock=lambda: now[0])
    counted = []
    for _ in range(32):
        now[0] += backoff.next_s()
        counted.append(backoff.counted)
    assert counted[:10] == list(range(1, 11))
    assert counted[10:] == [10] * 9 + [11] * 10 + [12] * 3
    backoff.reset()
    assert backoff.counted == 0
