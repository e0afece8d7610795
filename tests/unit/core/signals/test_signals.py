"""Signals: connection, delivery, failures [A463, B921, B922, B923, B924, B935]."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any, Never

import pytest

from umbel import hookspecs, signals
from umbel.signals import MAX_FAILURES, SIGNALS, Signal

CELERYS = [
    "before_task_publish",
    "after_task_publish",
    "task_received",
    "task_prerun",
    "task_postrun",
    "task_success",
    "task_retry",
    "task_failure",
    "task_internal_error",
    "task_revoked",
    "task_rejected",
    "task_unknown",
    "task_sent",
    "celeryd_init",
    "celeryd_after_setup",
    "import_modules",
    "worker_init",
    "worker_before_create_process",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutting_down",
    "worker_shutdown",
    "heartbeat_sent",
    "setup_logging",
    "after_setup_logger",
    "after_setup_task_logger",
    "beat_init",
    "beat_embedded_init",
    "eventlet_pool_started",
    "eventlet_pool_preshutdown",
    "eventlet_pool_postshutdown",
    "eventlet_pool_apply",
    "user_preload_options",
]


@pytest.fixture
def signal() -> Signal:
    return Signal("thing_happened", ("value",))


def test_celerys_34_signals_are_here() -> None:
    """[B935] under their names, each an attribute of the module."""
    assert sorted(SIGNALS) == sorted(CELERYS)
    assert len(CELERYS) == 34
    assert all(getattr(signals, name) is signal and signal.name == name for name, signal in SIGNALS.items())


def test_each_signal_has_its_observer_hook_with_the_same_arguments() -> None:
    for name, signal in SIGNALS.items():
        hook = getattr(hookspecs, f"umbel_{name}")
        arguments = hook.__code__.co_varnames[: hook.__code__.co_argcount]
        assert arguments == ("sender", *signal.providing_args), name


def test_receivers_are_called_in_order_with_what_was_sent(signal: Signal) -> None:
    """[B923] send answers (receiver, response) pairs."""

    def first(sender: object, value: object, **kwargs: Any) -> Any:
        return ("first", sender, value, kwargs["signal"])

    def second(**kwargs: Any) -> str:
        return "second"

    signal.connect(first)
    signal.connect(second)

    assert signal.send("me", value=3) == [(first, ("first", "me", 3, signal)), (second, "second")]


def test_nobody_listens_is_cheap_to_see(signal: Signal) -> None:
    assert not signal.receivers
    assert not signal.has_listeners
    assert signal.send(None) == []


def test_connect_is_a_decorator_with_and_without_arguments(signal: Signal) -> None:
    @signal.connect
    def plain(**kwargs: Any) -> str:
        return "plain"

    @signal.connect(sender="only")
    def filtered(**kwargs: Any) -> str:
        return "filtered"

    assert [answer for _, answer in signal.send("other")] == ["plain"]
    assert [answer for _, answer in signal.send("only")] == ["plain", "filtered"]


def test_a_sender_is_the_same_object_or_an_equal_name(signal: Signal) -> None:
    class Task:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    task = Task()
    calls = []

    def receiver(**kwargs: Any) -> Any:
        calls.append(kwargs["sender"])

    signal.connect(receiver, sender=task)
    signal.connect(receiver, sender=str(b"name", "ascii"))
    signal.send(Task())
    assert calls == []
    signal.send(task)
    signal.send("name")
    assert calls == [task, "name"]


def test_weak_receivers_leave_when_they_die(signal: Signal) -> None:
    """[B922] disconnecting is unnecessary."""

    class Listener:
        def heard(self, **kwargs: Any) -> Any:
            return "heard"

    listener = Listener()
    signal.connect(listener.heard)
    assert [answer for _, answer in signal.send(None)] == ["heard"]
    del listener
    gc.collect()
    assert signal.send(None) == []
    assert not signal.receivers


def test_strong_receivers_stay(signal: Signal) -> None:
    signal.connect(lambda **kwargs: "stays", weak=False)
    gc.collect()
    assert [answer for _, answer in signal.send(None)] == ["stays"]


def test_dispatch_uid_prevents_duplicates(signal: Signal) -> None:
    """[B921]"""
    for _ in range(3):
        signal.connect(lambda **kwargs: "once", weak=False, dispatch_uid="mine")
    assert [answer for _, answer in signal.send(None)] == ["once"]
    assert signal.disconnect(dispatch_uid="mine") is True
    assert signal.disconnect(dispatch_uid="mine") is False
    assert not signal.receivers


def test_the_same_receiver_is_connected_once_for_one_sender(signal: Signal) -> None:
    def receiver(**kwargs: Any) -> Any:
        return kwargs["sender"]

    signal.connect(receiver)
    signal.connect(receiver)
    signal.connect(receiver, sender="a")
    assert len(signal.receivers) == 2
    assert signal.disconnect(receiver, sender="a")
    assert signal.disconnect(receiver)
    assert not signal.receivers


def test_methods_of_two_objects_are_two_receivers(signal: Signal) -> None:
    class Listener:
        def heard(self, **kwargs: Any) -> Any:
            return id(self)

    one, two = Listener(), Listener()
    signal.connect(one.heard)
    signal.connect(two.heard)
    assert [answer for _, answer in signal.send(None)] == [id(one), id(two)]
    assert signal.disconnect(one.heard)
    assert [answer for _, answer in signal.send(None)] == [id(two)]


def test_receivers_must_accept_keywords(signal: Signal) -> None:
    """[B921]"""
    with pytest.raises(TypeError, match=r"thing_happened.*must accept keyword arguments; add \*\*kwargs"):
        signal.connect(lambda sender: None, weak=False)
    with pytest.raises(TypeError, match="expected a callable receiver, got 3"):
        signal.connect(3)  # type: ignore[call-overload]


def test_send_lets_an_error_out_and_stops(signal: Signal) -> None:
    """[B923]"""
    called = []

    def broken(**kwargs: Any) -> Never:
        raise LookupError("no")

    def after(**kwargs: Any) -> None:
        called.append(1)

    signal.connect(broken)
    signal.connect(after)
    with pytest.raises(LookupError):
        signal.send(None)
    assert called == []


def test_send_robust_makes_the_error_an_answer(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    """[B924] and the first failure alone is logged with its traceback."""

    def broken(**kwargs: Any) -> Never:
        raise LookupError("no")

    def after(**kwargs: Any) -> str:
        return "called"

    signal.connect(broken)
    signal.connect(after)
    with caplog.at_level(logging.ERROR, logger="umbel.signals"):
        (_, error), (_, answer) = signal.send_robust(None)
        signal.send_robust(None)
    assert isinstance(error, LookupError)
    assert answer == "called"
    (record,) = caplog.records
    assert "broken of signal thing_happened raised" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    assert record.exc_info[1].args == ("no",)


def test_a_receiver_that_goes_on_failing_is_switched_off_and_can_come_back(
    signal: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def broken(**kwargs: Any) -> Never:
        calls.append(1)
        raise LookupError("no")

    signal.connect(broken)
    with caplog.at_level(logging.ERROR, logger="umbel.signals"):
        for _ in range(MAX_FAILURES + 5):
            signal.send_robust(None)
    assert len(calls) == MAX_FAILURES
    assert "raised 10 times and is switched off" in caplog.messages[-1]
    signal.connect(broken)
    signal.send_robust(None)
    assert len(calls) == MAX_FAILURES + 1


def test_connecting_while_sending_changes_the_next_send_only(signal: Signal) -> None:
    def late(**kwargs: Any) -> str:
        return "late"

    def early(**kwargs: Any) -> str:
        signal.connect(late)
        return "early"

    signal.connect(early)
    assert [answer for _, answer in signal.send(None)] == ["early"]
    assert [answer for _, answer in signal.send(None)] == ["early", "late"]


def test_threads_may_connect_and_disconnect_at_once(signal: Signal) -> None:
    functions = [[lambda **kwargs: None for _ in range(50)] for _ in range(8)]
    start = threading.Barrier(8)

    def work(mine: list[Callable[..., None]]) -> None:
        start.wait()
        for function in mine:
            signal.connect(function)
            signal.send(None)
        for function in mine[1:]:
            assert signal.disconnect(function)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {connection.receiver() for connection in signal.receivers} == {mine[0] for mine in functions}
