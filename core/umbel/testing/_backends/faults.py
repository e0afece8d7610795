"""What breaks, and what must not break with it."""

from __future__ import annotations

import time

import pytest

from umbel.exceptions import BackendError
from umbel.host import Host
from umbel.states import STARTED, SUCCESS
from umbel.testing._backends.stage import SOON_S, BackendStage
from umbel.testing.capabilities import needs, needs_hook
from umbel.testing.threads import in_thread, until

__all__ = ["FaultTests"]


class FaultTests(BackendStage):
    """Killed processes, cut connections, slow stores, garbage."""

    @needs("stores", "many_processes")
    def test_a_process_killed_while_it_stores_leaves_the_store_usable(self) -> None:
        child = self.child()
        names = [f"k{number}" for number in range(3000)]
        child.begin("store", metas=[(self.id(name), SUCCESS, "x" * 1000, 0) for name in names])
        ids = [self.id(name) for name in names]
        until(lambda: any(self.backend.load(ids[:1])) or None, SOON_S)
        child.kill()
        # Each result is whole or absent, and whatever lock it held is free.
        for meta in self.backend.load(ids):
            assert meta is None or (meta.state, len(meta.payload)) == (SUCCESS, 1000)
        started = time.monotonic()
        self.backend.store([self.meta(name, payload=b"x" * 1000) for name in names])
        assert all(self.backend.load(ids))
        assert time.monotonic() - started < 20

    @needs("stores", "many_processes")
    def test_a_process_killed_while_it_waits_harms_nobody(self) -> None:
        child = self.child()
        child.begin("wait", ids=[self.id()], timeout_s=30)
        self.backend.store([self.meta("before")])
        child.kill()
        waiting = in_thread(self.backend.wait, [self.id()], SOON_S)
        self.connect().store([self.meta()])
        assert waiting.result(SOON_S)

    @needs("stores", "many_processes")
    def test_a_process_killed_between_its_parts_loses_no_other(self) -> None:
        child = self.child()
        assert child.call("join", group=self.id("c"), members=[0, 1], size=3) == []
        child.kill()
        assert self.payloads(self.backend.join([self.part("c", 2, 3)])) == [[b"0", b"1", b"2"]]

    @needs("stores")
    @needs_hook("inject_garbage")
    def test_garbage_in_place_of_a_result_is_an_error_or_nothing(self) -> None:
        for number, data in enumerate((b"", b"\xff\x00", b"{}", b"[1, 2")):
            name = f"garbage{number}"
            self.backend.store([self.meta(name, STARTED)])
            self.inject_garbage(self.id(name), data)
            try:
                [found] = self.backend.load([self.id(name)])
                assert found is None or found.payload == data
            except BackendError as error:
                assert self.id(name) in str(error)  # noqa: PT017 either is right: an error, or what was found
            # It does not stand in the way of the next writer.
            self.backend.store([self.meta(name, payload=b"good")])
            [found] = self.backend.load([self.id(name)])
            assert found is not None
            assert found.payload == b"good"

    @needs("stores")
    @needs_hook("cut_connection")
    def test_a_cut_connection_is_made_anew(self) -> None:
        self.backend.store([self.meta("before")])
        self.cut_connection(self.backend)

        def stored() -> bool:
            try:
                self.backend.store([self.meta("after")])
            except BackendError:
                return False
            return True

        until(stored, SOON_S)
        assert (self.state("before"), self.state("after")) == (SUCCESS, SUCCESS)

    @needs("stores")
    @needs_hook("cut_connection")
    def test_a_cut_connection_does_not_hang_who_waits(self) -> None:
        waiting = in_thread(self.backend.wait, [self.id()], 5.0)
        self.cut_connection(self.backend)
        self.connect().store([self.meta()])
        try:
            found = waiting.result(SOON_S)
            assert [meta.task_id for meta in found] == [self.id()]
        except BackendError:
            assert self.backend.wait([self.id()], SOON_S)

    @needs("stores")
    @needs_hook("slow_store")
    def test_a_slow_store_is_given_up_and_used_again(self) -> None:
        with self.slow_store():
            started = time.monotonic()
            with pytest.raises(BackendError):
                self.backend.store([self.meta()])
            assert time.monotonic() - started < 25
        other = self.connect()
        other.store([self.meta()])
        assert self.state(backend=other) == SUCCESS

    @needs_hook("unreachable_url")
    def test_an_unreachable_store_raises_in_time_and_hides_the_password(self) -> None:
        backend = Host().backend(self.app, self.unreachable_url())
        started = time.monotonic()
        with pytest.raises(BackendError) as raised:
            backend.open(1.0)
        assert time.monotonic() - started < 1.0 + 5.0
        assert "s3cret" not in str(raised.value)
        backend.close()
