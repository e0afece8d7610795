"""The ledger of pools that live in the worker's process."""

from __future__ import annotations

import threading
from typing import Any

from umbel.spi import Job, JobLedger


class Ears:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def finished(self, outcomes: Any) -> None:
        self.heard.append(("finished", *outcomes))

    def lost(self, job_id: int, reason: str) -> None:
        self.heard.append(("lost", job_id, reason))

    def timed_out(self, job_id: int, limit_s: float) -> None:
        self.heard.append(("timed_out", job_id, limit_s))

    def soft_timed_out(self, job_id: int, limit_s: float) -> None:
        self.heard.append(("soft_timed_out", job_id, limit_s))

    def terminated(self, job_id: int, signal: str) -> None:
        self.heard.append(("terminated", job_id, signal))

    def room_changed(self) -> None:
        pass

    def failed(self, reason: str) -> None:
        self.heard.append(("failed", reason))


def job(number: int) -> Job:
    return Job(id=number, payload=b"")


def ledger(*waiting: int) -> tuple[JobLedger, Ears]:
    made, ears = JobLedger(), Ears()
    made.listener = ears
    for number in waiting:
        made.accept(job(number))
    return made, ears


def test_a_job_ends_once() -> None:
    book, ears = ledger(1)
    assert book.begin(job(1))
    book.finished(1, b"a")
    book.finished(1, b"b")
    book.lost(1, ValueError("late"))
    book.timed_out(1, 1.0)
    assert ears.heard == [("finished", (1, b"a"))]


def test_a_dropped_job_does_not_begin() -> None:
    book, ears = ledger(1)
    assert book.drop(1, "SIGTERM")
    assert not book.drop(1, "SIGTERM")
    assert not book.begin(job(1))
    assert ears.heard == [("terminated", 1, "SIGTERM")]


def test_what_stop_returns_is_not_reported() -> None:
    book, ears = ledger(1, 2)
    assert book.begin(job(1))
    assert sorted(book.stop(drain=False, timeout_s=None)) == [1, 2]
    book.finished(1, b"late")
    assert not book.begin(job(2))
    assert ears.heard == []


def test_a_draining_stop_returns_after_the_last_report() -> None:
    book, ears = ledger(1)
    reporting, let_go = threading.Event(), threading.Event()

    def slow(outcomes: Any) -> None:
        reporting.set()
        let_go.wait(10)
        ears.heard.append("reported")

    ears.finished = slow  # type: ignore[method-assign]
    assert book.begin(job(1))
    worker = threading.Thread(target=book.finished, args=(1, b""))
    worker.start()
    assert reporting.wait(10)
    stopper = threading.Thread(target=lambda: ears.heard.append(list(book.stop(drain=True, timeout_s=None))))
    stopper.start()
    let_go.set()
    stopper.join(10)
    worker.join(10)
    assert ears.heard == ["reported", []]


def test_every_stop_returns_all_there_is() -> None:
    book, _ = ledger(1, 2)
    assert sorted(book.stop(drain=True, timeout_s=None)) == [1, 2]
    assert sorted(book.stop(drain=True, timeout_s=None)) == [1, 2]
    book.accept(job(3))
    assert sorted(book.stop(drain=False, timeout_s=None)) == [1, 2, 3]


def test_room_is_for_free_workers_until_jobs_prove_quick() -> None:
    book, _ = ledger(1, 2)
    assert book.room(4) == 2
    assert book.begin(job(1))
    assert book.room(4) == 2
    book.finished(1, b"")
    assert 4 < book.room(4) <= 1000
