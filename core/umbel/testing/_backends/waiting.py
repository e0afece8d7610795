"""Whoever waits for results is woken by them, by the end of the time, or by the end of the backend."""

from __future__ import annotations

import time
from functools import partial

from umbel.states import FAILURE, RETRY, REVOKED, STARTED, SUCCESS
from umbel.testing._backends.stage import SOON_S, BackendStage
from umbel.testing.capabilities import needs
from umbel.testing.threads import in_thread, in_threads

__all__ = ["WaitingTests"]


class WaitingTests(BackendStage):
    """``wait`` and ``close``."""

    @needs("stores")
    def test_what_is_there_is_returned_at_once_and_again(self) -> None:
        self.backend.store([self.meta("a"), self.meta("b", FAILURE), self.meta("c", STARTED)])
        ids = [self.id(name) for name in ("a", "b", "c", "unknown")]
        for _ in range(2):
            started = time.monotonic()
            found = self.backend.wait(ids, SOON_S)
            assert time.monotonic() - started < self.lateness_s
            assert {meta.task_id for meta in found} == {self.id("a"), self.id("b")}

    @needs("stores")
    def test_waiting_ends_when_the_time_is_over(self) -> None:
        self.backend.store([self.meta(state=STARTED)])
        started = time.monotonic()
        assert not self.backend.wait([self.id()], 0.3)
        assert 0.25 <= time.monotonic() - started < 0.3 + self.lateness_s
        started = time.monotonic()
        assert not self.backend.wait([self.id()], 0)
        assert time.monotonic() - started < self.lateness_s

    @needs("stores")
    def test_a_result_wakes_who_waits(self) -> None:
        other = self.connect()
        waiting = in_thread(self.backend.wait, [self.id("no"), self.id("a")], SOON_S)
        other.store([self.meta("a", STARTED)])
        other.store([self.meta("a", RETRY)])
        started = time.monotonic()
        other.store([self.meta("a", payload=b"42")])
        found = waiting.result(SOON_S)
        assert time.monotonic() - started < self.lateness_s
        assert [(meta.task_id, meta.state, meta.payload) for meta in found] == [(self.id("a"), SUCCESS, b"42")]

    @needs("stores", "push")
    def test_pushed_results_come_quickly(self) -> None:
        other = self.connect()
        delays = []
        for number in range(20):
            waiting = in_thread(self.backend.wait, [self.id(f"q{number}")], SOON_S)
            started = time.monotonic()
            other.store([self.meta(f"q{number}", REVOKED)])
            assert waiting.result(SOON_S)
            delays.append(time.monotonic() - started)
        # The median, since a busy machine may take a while now and then.
        assert sorted(delays)[10] < 0.1

    @needs("stores")
    def test_many_threads_wait_for_many_results(self) -> None:
        names = [f"r{number}" for number in range(40)]
        other = self.connect()

        def wait(part: int) -> set[str]:
            left = {self.id(name) for name in names[part::8]}
            got: set[str] = set()
            deadline = time.monotonic() + 20
            while left and time.monotonic() < deadline:
                done = {meta.task_id for meta in self.backend.wait(sorted(left), 5.0)}
                got |= done
                left -= done
            return got

        def store() -> set[str]:
            for name in names:
                other.store([self.meta(name)])
            return set()

        waits = [partial(wait, part) for part in range(8)]
        results: list[set[str]] = in_threads([store, *waits])
        assert set().union(*results) == {self.id(name) for name in names}

    @needs("stores")
    def test_waiting_for_a_thousand(self) -> None:
        names = [f"m{number}" for number in range(1000)]
        other = self.connect()
        waiting = in_thread(self.backend.wait, [self.id(name) for name in names], SOON_S)
        other.store([self.meta(names[999])])
        assert [meta.task_id for meta in waiting.result(SOON_S)] == [self.id(names[999])]
        other.store([self.meta(name) for name in names])
        assert len(self.backend.wait([self.id(name) for name in names], SOON_S)) == 1000

    @needs("stores", "many_processes")
    def test_processes_wait_for_each_other(self) -> None:
        children = [self.child() for _ in range(2)]
        for child in children:
            child.begin("wait", ids=[self.id("a")], timeout_s=SOON_S)
        started = time.monotonic()
        self.backend.store([self.meta("a")])
        assert [child.answer() for child in children] == [[self.id("a")]] * 2
        assert time.monotonic() - started < self.lateness_s + 1.0
        waiting = in_thread(self.backend.wait, [self.id("b")], SOON_S)
        children[0].call("store", metas=[(self.id("b"), FAILURE, "", 0)])
        assert [meta.state for meta in waiting.result(SOON_S)] == [FAILURE]

    @needs("stores")
    def test_closing_ends_every_wait(self) -> None:
        backend = self.connect()
        waiting = [in_thread(backend.wait, [self.id(str(number))], 30.0) for number in range(3)]
        # Whether they are waiting yet or not: the answer is the same.
        backend.close()
        started = time.monotonic()
        assert [list(future.result(SOON_S)) for future in waiting] == [[], [], []]
        assert time.monotonic() - started < self.lateness_s

    @needs("stores")
    def test_a_backend_opens_and_closes_any_number_of_times(self) -> None:
        self.backend.store([self.meta()])
        backend = self.connect()
        backend.open(1.0)
        backend.close()
        backend.close()
        backend.open(SOON_S)
        assert self.state(backend=backend) == SUCCESS
        assert backend.wait([self.id()], 1.0)

    @needs("stores")
    def test_ten_threads_open_and_close_hundreds_of_times(self) -> None:
        stop = time.monotonic() + 4.0

        def churn(number: int) -> int:
            rounds = 0
            while rounds < 20 and time.monotonic() < stop:
                backend = self.connect()
                name = f"{number}-{rounds}"
                backend.store([self.meta(name)])
                assert backend.wait([self.id(name)], SOON_S)
                backend.close()
                rounds += 1
            return rounds

        done = in_threads([partial(churn, number) for number in range(10)])
        assert min(done) >= 1
        for number, rounds in enumerate(done):
            assert self.state(f"{number}-{rounds - 1}") == SUCCESS
