from __future__ import annotations

import gc
import os
import signal
import time

import pytest

from umbel.exceptions import BackendError
from umbel.model import ChordPart, TaskMeta
from umbel_backend_memory import MemoryBackend
from umbel_backend_memory.space import find_space


class App:
    """Something that can be referred to weakly."""


def opened(name: str, app: object = None) -> MemoryBackend:
    backend = MemoryBackend(f"memory://{name}", app)
    backend.open(1.0)
    return backend


def test_a_space_goes_with_the_last_application_that_used_it() -> None:
    app = App()
    opened("going", app).store([TaskMeta("a", "SUCCESS", b"")])
    assert opened("going", app).load(["a"])[0] is not None
    del app
    gc.collect()
    assert opened("going", App()).load(["a"]) == [None]


def test_an_unopened_backend_says_so() -> None:
    with pytest.raises(BackendError, match=r"expected memory://x to be open"):
        MemoryBackend("memory://x").load(["a"])


def test_a_closed_backend_waits_for_nothing() -> None:
    backend = opened("closed")
    backend.close()
    started = time.monotonic()
    assert backend.wait(["a"], 30.0) == []
    assert time.monotonic() - started < 5


def test_a_forked_child_is_told_that_nobody_would_see_its_results() -> None:
    backend = opened("forked")
    backend.store([])
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            backend.store([TaskMeta("a", "SUCCESS", b"")])
            os.write(writer, b"nothing raised")
        except BackendError as error:
            os.write(writer, str(error).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read().decode()
    assert "forked child" in answer
    assert "threads" in answer


def test_nothing_is_left_of_those_who_waited() -> None:
    app = App()
    backend = opened("waiters", app)
    assert backend.wait(["a", "b"], 0.01) == []
    backend.store([TaskMeta("a", "SUCCESS", b"")])
    assert backend.wait(["a", "b"], 1.0)
    assert find_space("waiters", app)._waiting == {}


def test_a_result_written_anew_lives_as_long_as_the_new_one() -> None:
    backend = opened("anew")
    backend.store([TaskMeta("a", "STARTED", b"", expires_s=5)])
    backend.store([TaskMeta("a", "SUCCESS", b"", expires_s=500)])
    assert backend.expire(time.time() + 60) == 0
    assert backend.load(["a"])[0] is not None
    assert backend.expire(time.time() + 600) == 1
    assert backend.load(["a"]) == [None]


def test_chords_and_groups_expire_too() -> None:
    backend = opened("ends")
    backend.save_group("g", b"1", expires_s=5)
    backend.join([ChordPart("c", "t0", 0, "SUCCESS", b"", b"", 2, expires_s=5)])
    assert backend.expire(time.time() + 60) == 0  # results are counted, and there was none
    assert backend.load_group("g") is None
    assert not backend.join([ChordPart("c", "t1", 1, "SUCCESS", b"", b"", 2, expires_s=5)])
