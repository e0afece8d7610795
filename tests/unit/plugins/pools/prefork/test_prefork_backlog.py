from __future__ import annotations

from umbel.spi import Job
from umbel_pool_prefork._backlog import BUDGET_NS, MAX_BATCH, Backlog


def backlog(*names: str, **times: int) -> Backlog:
    made = Backlog()
    for name, elapsed in times.items():
        made.times.learn(name, elapsed)
    made.incoming.extend(Job(id=number, payload=b"", name=name) for number, name in enumerate(names))
    made.accept()
    return made


def ids(taken: list[tuple[Job, int]]) -> list[int]:
    return [job.id for job, _ in taken]


def test_an_unknown_name_goes_alone() -> None:
    assert ids(backlog("a", "a", "a").take(MAX_BATCH, BUDGET_NS, must_start=True)) == [0]


def test_quick_jobs_go_together_up_to_the_budget() -> None:
    assert len(backlog(*["q"] * 50, q=BUDGET_NS // 10).take(MAX_BATCH, BUDGET_NS, must_start=True)) == 10


def test_a_batch_has_a_bound() -> None:
    assert len(backlog(*["q"] * 500, q=1).take(MAX_BATCH, BUDGET_NS, must_start=True)) == MAX_BATCH


def test_a_slow_job_does_not_follow_quick_ones() -> None:
    assert ids(backlog("q", "q", "slow", "q", q=1000, slow=10**10).take(9, BUDGET_NS, must_start=True)) == [0, 1]


def test_a_busy_child_gets_no_slow_job() -> None:
    one = backlog("slow", slow=10**10)
    assert one.take(9, BUDGET_NS, must_start=False) == []
    assert ids(one.take(9, BUDGET_NS, must_start=True)) == [0]


def test_large_payloads_make_small_batches() -> None:
    one = backlog(q=1)
    one.incoming.extend(Job(id=number, payload=b"x" * 700_000, name="q") for number in range(9))
    one.accept()
    assert len(one.take(9, BUDGET_NS, must_start=True)) == 2


def test_what_comes_back_goes_first_and_in_order() -> None:
    one = backlog("q", "q", "q", "q", q=1)
    taken = [job for job, _ in one.take(2, BUDGET_NS, must_start=True)]
    one.put_back(taken)
    assert ids(one.take(9, BUDGET_NS, must_start=True)) == [0, 1, 2, 3]


def test_run_times_follow_the_jobs() -> None:
    one = backlog(q=1000)
    for _ in range(40):
        one.times.learn("q", 9000)
    assert 8900 < one.times.expected_ns("q") <= 9000


def test_dropping_removes_one_job() -> None:
    one = backlog("a", "b", "c")
    assert one.drop(1)
    assert not one.drop(1)
    assert one.clear() == [0, 2]
