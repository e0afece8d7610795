"""The state of a cluster, whatever the order of its events."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel import states
from umbel.events import State, Task, Worker
from umbel.events.tasks import TASK_EVENT_TO_STATE

NOW = time.time()


def task_event(subject: str, at: float, uuid: str = "u1", **fields: Any) -> dict[str, Any]:
    base = {"hostname": "w1@h", "clock": int(at), "timestamp": float(at), "local_received": float(at), "pid": 1}
    return {"type": f"task-{subject}", "uuid": uuid, **base, **fields}


def worker_event(subject: str, at: float, hostname: str = "w1@h", **fields: Any) -> dict[str, Any]:
    base = {"hostname": hostname, "clock": int(at), "timestamp": at, "local_received": at, "freq": 3600.0}
    return {"type": f"worker-{subject}", **base, **fields}


def told(*events: Mapping[str, Any]) -> State:
    state = State()
    for event in events:
        state.event(dict(event))
    return state


RECEIVED = task_event("received", 10, name="add", args="(1,)", kwargs="{}", retries=0, eta=None, expires=None)
STARTED = task_event("started", 11)
SUCCEEDED = task_event("succeeded", 12, result="2", runtime=0.5)


# -- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_goes_through_its_states() -> None:
    """[B662]."""
    state = State()
    for event, expected in ((RECEIVED, states.RECEIVED), (STARTED, states.STARTED), (SUCCEEDED, states.SUCCESS)):
        (task, is_new), _ = state.event(dict(event))
        assert (task.state, task.timestamp, is_new) == (expected, event["timestamp"], event is RECEIVED)
    assert (task.received, task.started, task.succeeded) == (10.0, 11.0, 12.0)
    assert (task.name, task.result, task.runtime) == ("add", "2", 0.5)
    assert task.ready
    assert task.worker is state.workers["w1@h"]
    assert task.origin == "w1@h.None"
    assert (state.event_count, state.task_count) == (3, 1)
    assert task.info() == {"args": "(1,)", "kwargs": "{}", "retries": 0, "result": "2", "runtime": 0.5}
    assert task.info(["state"], ["name"]) == {"state": "SUCCESS", "name": "add"}


def test_late_events_do_not_undo_later_ones() -> None:
    """[B638] [B1150] what logically comes before is merged, not believed."""
    task = told(SUCCEEDED, {**RECEIVED, "pid": 99}, STARTED).tasks["u1"]
    assert (task.state, task.timestamp) == (states.SUCCESS, 12.0)
    assert (task.name, task.args, task.received) == ("add", "(1,)", 10.0)
    assert task.__dict__["pid"] == 1


def test_arguments_always_come_from_received() -> None:
    """[B663]."""
    sent = task_event("sent", 9, name="other", args="?", retries=7, hostname="client", queue="q")
    early, late = told(sent, RECEIVED).tasks["u1"], told(RECEIVED, {**sent, "timestamp": 99.0}).tasks["u1"]
    for task in (early, late):
        assert (task.name, task.args, task.retries) == ("add", "(1,)", 0)
        assert (task.client, task.__dict__["queue"]) == ("client", "q")
    only = told(sent).tasks["u1"]
    assert (only.name, only.state, only.origin) == ("other", states.PENDING, "client")


def test_a_retry_opens_a_new_attempt() -> None:
    retried = task_event("retried", 13, exception="KeyError()")
    again = task_event("received", 14, name="add", retries=1)
    failed = task_event("failed", 12, exception="old")
    assert told(RECEIVED, STARTED, retried).tasks["u1"].state == states.RETRY
    assert told(RECEIVED, STARTED, retried, again).tasks["u1"].state == states.RECEIVED
    task = told(again, failed, retried, task_event("succeeded", 15, result="3"), RECEIVED, STARTED).tasks["u1"]
    assert (task.state, task.retries, task.result, task.exception) == (states.SUCCESS, 1, "3", "KeyError()")


def test_events_of_ones_own_are_states_too() -> None:
    """[B948] they stand over STARTED, and below the ends."""
    progress = task_event("progress", 11.5, percent=50)
    task = told(RECEIVED, STARTED, progress).tasks["u1"]
    assert (task.state, task.__dict__["percent"]) == ("PROGRESS", 50)
    assert told(SUCCEEDED, progress, RECEIVED).tasks["u1"].state == states.SUCCESS


def test_fields_cannot_break_the_task() -> None:
    evil = {"event": 1, "_seen": 2, "info": 3, "cluster_state": 4, "worker": 5, "uuid": "u1", "__class__": 6}
    state = told(RECEIVED, {**task_event("odd", 11), **evil})
    task = state.tasks["u1"]
    assert (task.state, task.worker) == ("ODD", state.workers["w1@h"])
    task.event("succeeded", 12.0, None, {"result": "2"})
    assert task.state == states.SUCCESS
    for number in range(1000):
        state.event(task_event(f"kind-{number}", 20))
    assert len(task._seen) <= 40


def test_relatives_are_found_whoever_is_heard_first() -> None:
    child = {**RECEIVED, "uuid": "c", "parent_id": "u1", "root_id": "u1"}
    for events in ((RECEIVED, child), (child, RECEIVED)):
        state = told(*events)
        assert state.tasks["u1"].children == {state.tasks["c"]}
        assert state.tasks["c"].parent is state.tasks["c"].root is state.tasks["u1"]
        assert state.tasks["u1"].parent is None


# -- workers ----------------------------------------------------------------------------------------------------------


def test_workers_come_live_and_go() -> None:
    """[B661] [B664] [A444]."""
    joined: list[Worker] = []
    left: list[Worker] = []
    state = State(on_node_join=joined.append, on_node_leave=left.append)
    state.event(worker_event("online", NOW, pid=7, sw_ident="py-umbel"))
    worker = state.workers["w1@h"]
    assert (worker.alive, worker.status_string, worker.id) == (True, "ONLINE", "w1@h.7")
    for number in range(1, 9):
        state.event(worker_event("heartbeat", NOW + number / 100, processed=number))
    assert len(worker.heartbeats) == Worker.heartbeat_max == 4
    assert worker.processed == 8
    assert list(state.alive_workers()) == [worker]
    state.event(worker_event("offline", NOW + 1))
    assert (joined, left) == ([worker], [worker])
    assert not worker.alive
    assert state.workers == {}


def test_a_silent_worker_is_offline_after_two_intervals() -> None:
    worker = told(worker_event("heartbeat", time.time() - 50, freq=60.0)).workers["w1@h"]
    assert worker.alive
    assert not told(worker_event("heartbeat", time.time() - 130, freq=60.0)).workers["w1@h"].alive


def test_an_older_heartbeat_does_not_stand_over_a_newer() -> None:
    state = told(worker_event("heartbeat", NOW, processed=5), worker_event("heartbeat", NOW - 1, processed=4))
    assert state.workers["w1@h"].processed == 5


def test_a_clock_that_is_wrong_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    state = State()
    for _ in range(3):
        state.event({**worker_event("heartbeat", NOW), "timestamp": NOW - 100})
    assert [record.message for record in caplog.records if "100 s apart" in record.message]
    assert len(caplog.records) == 1


# -- the whole --------------------------------------------------------------------------------------------------------


def test_tasks_are_given_in_the_order_of_time() -> None:
    """[B657] [B658]."""
    state = State()
    for number in range(10):
        where = "w2@h" if number % 2 else "w1@h"
        state.event(
            {**RECEIVED, "uuid": f"t{number}", "clock": 100 + number, "hostname": where, "name": f"n{number % 3}"}
        )
    state.event(task_event("started", 1, "t3", clock=500))
    assert [uuid for uuid, _ in state.tasks_by_time()] == ["t3", "t9", "t8", "t7", "t6", "t5", "t4", "t2", "t1", "t0"]
    assert [uuid for uuid, _ in state.tasks_by_time(limit=2)] == ["t3", "t9"]
    assert [uuid for uuid, _ in state.tasks_by_timestamp(limit=2, reverse=False)] == ["t0", "t1"]
    assert [uuid for uuid, _ in state.tasks_by_type("n0")] == ["t3", "t9", "t6", "t0"]
    assert {task.uuid for task in state.tasks_by_type["n1"]} == {"t1", "t4", "t7"}
    assert [uuid for uuid, _ in state.tasks_by_worker("w2@h", limit=3)] == ["t3", "t9", "t7"]
    assert len(state.tasks_by_worker["w1@h"]) == 5
    assert state.task_types() == ["n0", "n1", "n2"]
    assert [uuid for uuid, _ in state.itertasks(limit=2)] == ["t0", "t1"]


def test_the_oldest_are_forgotten() -> None:
    """[B655]."""
    state = State(max_tasks_in_memory=5, max_workers_in_memory=2)
    for number in range(50):
        state.event({**RECEIVED, "uuid": f"t{number}", "clock": number, "hostname": f"w{number}@h"})
    assert list(state.tasks) == [f"t{number}" for number in range(45, 50)]
    assert len(state.workers) == 2
    assert [uuid for uuid, _ in state.tasks_by_time()] == [f"t{number}" for number in range(49, 44, -1)]
    assert len(state._order.places) <= 20


def test_clearing_keeps_what_is_under_way() -> None:
    """[B656]."""
    state = told(RECEIVED, SUCCEEDED, {**RECEIVED, "uuid": "u2"})
    state.clear_tasks()
    assert list(state.tasks) == ["u2"]
    assert [uuid for uuid, _ in state.tasks_by_time()] == ["u2"]
    state.clear(ready=False)
    assert (state.tasks, state.workers, state.event_count, state.task_count) == ({}, {}, 0, 0)


def test_events_wait_while_it_is_frozen() -> None:
    """[B247] [B660] [B1149]."""
    state = told(RECEIVED)
    seen: list[str] = []

    def shutter() -> str:
        state.event(dict(SUCCEEDED))
        seen.append(state.tasks["u1"].state)
        return "answer"

    assert state.freeze_while(shutter) == "answer"
    assert (seen, state.tasks["u1"].state) == (["RECEIVED"], "SUCCESS")
    state.freeze(buffer=False)
    state.event({**RECEIVED, "uuid": "lost"})
    state.thaw()
    assert "lost" not in state.tasks
    state.freeze_while(lambda: state.event({**RECEIVED, "uuid": "kept"}), clear_after=True)
    assert list(state.tasks) == ["kept"]


def test_handlers_and_callback_see_every_event() -> None:
    seen: list[Any] = []
    state = State(callback=lambda state, event: seen.append(event["type"]))
    state.handlers["custom"] = lambda subject, event: seen.append(subject)
    state.event({"type": "custom-thing"})
    state.event({"type": "unknown-thing"})
    assert seen == ["custom-thing", "thing", "unknown-thing"]
    assert state.task_event("received", {"uuid": "x", "timestamp": 1.0})[0].state == states.RECEIVED
    assert state.worker_event("online", {"hostname": "h", "timestamp": time.time(), "local_received": time.time()})[
        0
    ].alive


def test_a_state_can_be_pickled() -> None:
    child = {**RECEIVED, "uuid": "c", "parent_id": "u1"}
    state = told(RECEIVED, SUCCEEDED, child, worker_event("heartbeat", NOW, pid=5))
    copy = pickle.loads(pickle.dumps(state))
    assert {uuid: task.as_dict() for uuid, task in copy.tasks.items()} == {
        uuid: task.as_dict() for uuid, task in state.tasks.items()
    }
    assert copy.workers["w1@h"].alive
    assert copy.tasks["u1"].cluster_state is copy
    assert copy.tasks["u1"].children == {copy.tasks["c"]}
    assert {task.uuid for task in copy.tasks_by_type["add"]} == {"u1", "c"}
    assert [uuid for uuid, _ in copy.tasks_by_type("add")] == ["u1", "c"]
    copy.event(task_event("started", 20, "c"))
    assert copy.tasks["c"].state == states.STARTED


def test_looking_is_safe_while_others_tell() -> None:
    """[B1148]."""
    state = State(max_tasks_in_memory=50)
    stop = threading.Event()
    failures: list[BaseException] = []

    def tell() -> None:
        number = 0
        while not stop.is_set():
            state.event({**RECEIVED, "uuid": f"t{number}", "hostname": f"w{number % 7}@h", "clock": number})
            number += 1

    def look() -> None:
        try:
            for _ in range(300):
                list(state.tasks_by_time())
                list(state.tasks_by_worker("w1@h"))
                list(state.alive_workers())
                list(state.itertasks())
        except BaseException as error:
            failures.append(error)

    teller = threading.Thread(target=tell)
    lookers = [threading.Thread(target=look) for _ in range(2)]
    for thread in (teller, *lookers):
        thread.start()
    for thread in lookers:
        thread.join(20)
    stop.set()
    teller.join(20)
    assert failures == []


# -- the model: a function of what was told, not of when ----------------------------------------------------------------


def model(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say what is to be known of one task, from the bag of its events."""

    def key(event: Mapping[str, Any]) -> tuple[float, int, str]:
        return event["timestamp"], event["clock"], event["hostname"]

    latest: dict[str, Mapping[str, Any]] = {}
    for event in sorted(events, key=key):
        latest[event["type"].removeprefix("task-")] = event
    since = key(latest["retried"]) if "retried" in latest else (-1.0, 0, "")
    current = {subject: event for subject, event in latest.items() if subject == "retried" or key(event) >= since}

    def rank(subject: str) -> tuple[bool, int, Any]:
        name = TASK_EVENT_TO_STATE.get(subject, subject.upper())
        return subject != "retried", -states.precedence(name), key(current[subject])

    last = max(current, key=rank)
    found: dict[str, Any] = {
        "state": TASK_EVENT_TO_STATE.get(last, last.upper()),
        "timestamp": current[last]["timestamp"],
        "clock": current[last]["clock"],
    }
    for subject in TASK_EVENT_TO_STATE:
        found[subject] = latest[subject]["timestamp"] if subject in latest else None
    if "received" in latest:
        found["name"], found["retries"] = latest["received"]["name"], latest["received"]["retries"]
    return found


HISTORIES = st.lists(
    st.builds(
        lambda subject, at, host, retries: {
            **task_event(subject, at, hostname=host),
            **({"name": f"n{retries}", "retries": retries} if subject in ("received", "sent") else {}),
        },
        st.sampled_from([*TASK_EVENT_TO_STATE, "progress"]),
        st.integers(1, 12),
        st.sampled_from(["w1@h", "w2@h"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=14,
    # Two different events of one type, time and host do not come from any program.
    unique_by=lambda event: (event["type"], event["timestamp"], event["hostname"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(HISTORIES, st.data())
def test_any_order_and_any_repetition_gives_what_the_model_says(
    history: list[dict[str, Any]], data: st.DataObject
) -> None:
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    task = told(*shuffled).tasks["u1"]
    expected = model(history)
    assert {name: getattr(task, name) for name in expected} == expected
    in_order = told(*history).tasks["u1"]
    assert task.as_dict() == in_order.as_dict()
    assert {name: value for name, value in task.__dict__.items() if not name.startswith("_")}.keys() == {
        name for name in in_order.__dict__ if not name.startswith("_")
    }


def test_a_task_knows_its_equals() -> None:
    assert Task("a") == Task("a") != Task("b")
    assert len({Task("a"), Task("a")}) == 1
    assert Worker("a") == Worker("a") != Worker("b")
    assert "add" in repr(told(RECEIVED).tasks["u1"])
    assert repr(told(RECEIVED)) == "<State: events=1 tasks=1>"
