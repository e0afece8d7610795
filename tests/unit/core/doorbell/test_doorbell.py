"""The doorbell: quick when nobody waits, no lost wake-up, the dead forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.doorbell import Doorbell
from umbel.doorbell_slots import CAPACITY, SlotFile

LONG_S = 20.0


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Doorbell]:
    bell = Doorbell(tmp_path / "bell")
    yield bell
    bell.close()


def run_child(source: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", source, *args], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


def test_ringing_where_nobody_waits_wakes_nobody(bell: Doorbell) -> None:
    assert bell.ring(["q:celery"]) == 0
    with bell.listen(["q:celery"]):
        assert bell.ring(["q:celery"]) == 0  # not armed


def test_armed_listener_is_woken_once_and_only_for_its_topics(bell: Doorbell) -> None:
    with bell.listen(["q:a", "q:b"]) as listener:
        listener.arm()
        assert bell.ring(["q:c"]) == 0
        assert listener.wait(0) is False
        assert bell.ring(["q:b", "q:c"]) == 1
        assert bell.ring(["q:b"]) == 0  # the flag is down again
        assert listener.wait(LONG_S) is True
        assert listener.wait(0) is False


def test_ring_before_wait_is_kept(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        listener.arm()
        bell.ring(["t"])
        started = time.monotonic()
        assert listener.wait(LONG_S) is True
        assert time.monotonic() - started < 5


def test_disarmed_listener_is_left_alone(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        listener.arm()
        listener.disarm()
        assert bell.ring(["t"]) == 0


def test_topics_can_be_changed(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        listener.listen_to(["u"])
        listener.arm()
        assert bell.ring(["t"]) == 0
        assert bell.ring(["u"]) == 1


def test_more_topics_than_fit_mean_everything(bell: Doorbell) -> None:
    with bell.listen(f"r:{n}" for n in range(1000)) as listener:
        listener.arm()
        assert bell.ring(["r:999"]) == 1


def test_at_most_bounds_how_many_are_woken_and_all_get_their_turn(bell: Doorbell) -> None:
    listeners = [bell.listen(["q"]) for _ in range(5)]
    for listener in listeners:
        listener.arm()
    assert [bell.ring(["q"], at_most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert all(listener.wait(0) for listener in listeners)
    for listener in listeners:
        listener.close()


def test_wake_from_another_thread_ends_a_wait_that_nobody_rings(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        threading.Timer(0.05, listener.wake).start()
        started = time.monotonic()
        assert listener.wait(LONG_S) is True
        assert time.monotonic() - started < 10


def test_wake_of_a_closed_listener_does_nothing(bell: Doorbell) -> None:
    listener = bell.listen(["t"])
    listener.close()
    listener.close()
    listener.wake()


def test_closing_leaves_nothing_behind(bell: Doorbell) -> None:
    with bell.listen(["t"]):
        assert len(os.listdir(bell.directory)) == 2
    assert os.listdir(bell.directory) == ["slots-1"]


def test_the_folder_and_its_files_are_for_the_user_alone(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        assert os.stat(bell.directory).st_mode & 0o077 == 0
        for name in ("slots-1", listener.token):
            assert os.stat(os.path.join(bell.directory, name)).st_mode & 0o077 == 0


def test_hundreds_of_listeners_are_all_reached(bell: Doorbell) -> None:
    listeners = [bell.listen([f"t{n % 3}"]) for n in range(450)]
    for listener in listeners:
        assert not listener.is_polling
        listener.arm()
    assert bell.ring(["t1"]) == 150
    assert sum(listener.wait(0) for listener in listeners) == 150
    for listener in listeners:
        listener.close()


ANSWERING = """
import sys
from umbel.doorbell import Doorbell
mine = Doorbell(sys.argv[1])
with mine.listen(["ask"]) as listener:
    print(listener.token, flush=True)
    while True:
        listener.arm()
        listener.wait(30)
        mine.ring(["answer"])
"""


def test_two_processes_wake_each_other(bell: Doorbell) -> None:
    child = run_child(ANSWERING, bell.directory)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        with bell.listen(["answer"]) as listener:
            for _ in range(200):
                listener.arm()
                give_up = time.monotonic() + LONG_S
                while not bell.ring(["ask"]):  # until the child has armed
                    assert time.monotonic() < give_up
                assert listener.wait(LONG_S) is True
    finally:
        end(child)


def test_killed_listener_is_known_to_be_gone_and_its_slot_is_taken_back(bell: Doorbell) -> None:
    child = run_child(ANSWERING, bell.directory)
    assert child.stdout is not None
    token = child.stdout.readline().strip()
    assert bell.is_listening(token)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not bell.is_listening(token)
    assert bell.ring(["ask"]) == 0  # it was armed when it died, or not; either way
    bell.listen(["x"]).close()
    assert os.listdir(bell.directory) == ["slots-1"]


def test_slots_of_the_dead_are_taken_when_there_is_no_other(bell: Doorbell) -> None:
    with bell.listen(["t"]):
        pass
    slots = SlotFile(os.path.join(bell.directory, "slots-1"))
    for n in range(CAPACITY):
        assert slots.acquire(f"{n:016x}", lambda _: True)[0] is not None
    with bell.listen(["t"]) as listener:
        assert not listener.is_polling


def test_when_all_slots_are_taken_the_listener_polls(bell: Doorbell) -> None:
    bell.ring(["t"])
    slots = SlotFile(os.path.join(bell.directory, "slots-1"))
    while slots.acquire("0" * 15 + "1", lambda _: True)[0] is not None:
        pass
    bell.is_listening = lambda token: True  # type: ignore[method-assign]
    with bell.listen(["t"]) as listener:
        assert listener.is_polling


def test_a_folder_that_cannot_be_made_means_polling_with_growing_pauses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    bell = Doorbell(tmp_path / "file" / "bell")
    with bell.listen(["t"]) as listener:
        assert listener.is_polling
        assert "polls" in caplog.text
        assert bell.ring(["t"]) == 0
        started = time.monotonic()
        pauses = 0
        while time.monotonic() - started < 0.5:
            listener.arm()
            assert listener.wait(LONG_S) is True
            pauses += 1
        assert 4 <= pauses <= 14
        listener.wake()
        assert listener.wait(LONG_S) is True


def test_a_folder_that_is_tidied_away_comes_back(bell: Doorbell, tmp_path: Path) -> None:
    with bell.listen(["t"]) as listener:
        os.rename(bell.directory, tmp_path / "gone")
        listener.arm()
        assert listener.wait(0) is False  # notices
        listener.arm()
        other = Doorbell(bell.directory)
        assert other.ring(["t"]) == 1
        assert listener.wait(LONG_S) is True


def test_a_forked_child_may_ring_and_does_not_take_the_listener_along(bell: Doorbell) -> None:
    with bell.listen(["t"]) as listener:
        listener.arm()
        bell.ring(["t"])
        listener.wait(0)
        listener.arm()
        child = os.fork()
        if child == 0:
            listener.close()
            os._exit(7 if bell.ring(["t"]) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert listener.wait(LONG_S) is True
        assert bell.is_listening(listener.token)


def test_garbage_in_the_slots_harms_nobody(bell: Doorbell) -> None:
    bell.ring(["t"])
    with open(os.path.join(bell.directory, "slots-1"), "r+b") as file:
        file.write(os.urandom(CAPACITY * 200))
    bell.ring(["t"])
    with bell.listen(["t"]) as listener:
        listener.arm()
        assert bell.ring(["t"]) >= 1
        assert listener.wait(LONG_S) is True
