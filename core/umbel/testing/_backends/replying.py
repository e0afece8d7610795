"""Backends that keep nothing and send each result to its caller (``reads_once``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from umbel.exceptions import BackendError
from umbel.model import TaskMeta
from umbel.states import FAILURE, RETRY, STARTED, SUCCESS
from umbel.testing._backends.stage import SOON_S, BackendStage
from umbel.testing.capabilities import needs
from umbel.testing.threads import in_thread, in_threads

__all__ = ["ReplyingTests"]


class ReplyingTests(BackendStage):
    """``reply_to``; what is sent there arrives, and nowhere else."""

    def reply(self, name: str, state: str = SUCCESS, payload: bytes | None = None, **options: object) -> TaskMeta:
        """Return a result of the task *name*, for the caller behind ``self.backend``."""
        document = payload if payload is not None else b'{"status": "%b", "result": 42}' % state.encode()
        return TaskMeta(self.id(name), state, document, reply_to=self.backend.reply_to, **options)  # type: ignore[arg-type]

    @needs("reads_once")
    def test_each_caller_has_an_address_that_stays(self) -> None:
        other = self.connect()
        assert self.backend.reply_to
        assert self.backend.reply_to == self.backend.reply_to
        assert other.reply_to != self.backend.reply_to

    @needs("reads_once")
    def test_a_reply_arrives_as_it_was_sent_and_can_be_had_again(self) -> None:
        sent = self.reply("a")
        self.connect().store([sent])
        for _ in range(2):
            [meta] = self.backend.wait([self.id("a"), self.id("other")], SOON_S)
            assert (meta.task_id, meta.state, meta.payload) == (sent.task_id, SUCCESS, sent.payload)
            assert (meta.content_type, meta.content_encoding) == ("application/json", "utf-8")
        [loaded, unknown] = self.backend.load([self.id("a"), self.id("other")])
        assert loaded is not None
        assert (loaded.payload, unknown) == (sent.payload, None)

    @needs("reads_once")
    def test_a_reply_wakes_who_waits(self) -> None:
        other = self.connect()
        replies = [self.reply("a", STARTED), self.reply("a", RETRY), self.reply("a")]
        waiting = in_thread(self.backend.wait, [self.id("a")], SOON_S)
        started = time.monotonic()
        for reply in replies:
            other.store([reply])
        assert [meta.state for meta in waiting.result(SOON_S)] == [SUCCESS]
        assert time.monotonic() - started < self.lateness_s

    @needs("reads_once")
    def test_states_on_the_way_are_told(self) -> None:
        self.connect().store([self.reply("a", STARTED)])
        assert not self.backend.wait([self.id("a")], 0.2)
        [meta] = self.backend.load([self.id("a")])
        assert meta is not None
        assert meta.state == STARTED

    @needs("reads_once")
    def test_success_stands(self) -> None:
        self.connect().store([self.reply("a"), self.reply("a", FAILURE), self.reply("b", FAILURE)])
        self.backend.wait([self.id("b")], SOON_S)
        found = self.backend.load([self.id("a"), self.id("b")])
        assert [meta and meta.state for meta in found] == [SUCCESS, FAILURE]

    @needs("reads_once")
    def test_another_caller_does_not_get_it(self) -> None:
        other = self.connect()
        assert other.reply_to
        self.backend.store([self.reply("a")])
        assert self.backend.wait([self.id("a")], SOON_S)
        assert not other.wait([self.id("a")], 0.2)

    @needs("reads_once")
    def test_a_large_reply(self) -> None:
        document = b'{"status": "SUCCESS", "result": "%b"}' % (b"x" * 3_000_000)
        self.connect().store([self.reply("a", payload=document)])
        [meta] = self.backend.wait([self.id("a")], SOON_S)
        assert meta.payload == document

    @needs("reads_once")
    def test_replies_to_nobody_are_dropped_in_silence(self) -> None:
        gone = self.connect()
        address = gone.reply_to
        gone.close()
        self.backend.store([self.meta("a"), self.meta("b", reply_to=address)])
        self.backend.store([self.reply("c")])
        assert self.backend.wait([self.id("c")], SOON_S)

    @needs("reads_once")
    def test_waiting_ends_in_time_and_at_the_close(self) -> None:
        started = time.monotonic()
        assert not self.backend.wait([self.id("a")], 0.3)
        assert 0.25 <= time.monotonic() - started < 0.3 + self.lateness_s
        waiting = in_thread(self.backend.wait, [self.id("a")], 30.0)
        self.backend.close()
        assert not waiting.result(SOON_S)
        self.backend.close()

    @needs("reads_once")
    def test_many_threads_wait_for_many_replies(self) -> None:
        names = [f"r{number}" for number in range(60)]
        other = self.connect()
        replies = [self.reply(name) for name in names]

        def wait(part: int) -> None:
            left = {self.id(name) for name in names[part::6]}
            deadline = time.monotonic() + 20
            while left and time.monotonic() < deadline:
                left -= {meta.task_id for meta in self.backend.wait(sorted(left), 5.0)}
            assert not left

        def send() -> None:
            for reply in replies:
                other.store([reply])

        calls: list[Callable[[], None]] = [partial(wait, part) for part in range(6)]
        in_threads([*calls, send])

    @needs("reads_once")
    def test_forgetting(self) -> None:
        self.backend.store([self.reply("a")])
        assert self.backend.wait([self.id("a")], SOON_S)
        self.backend.forget([self.id("a"), self.id("unknown")])
        assert list(self.backend.load([self.id("a")])) == [None]

    @needs("reads_once")
    def test_what_needs_a_store_says_what_to_configure(self) -> None:
        for ask in (
            lambda: self.backend.join([self.part("chord", 0, 1)]),
            lambda: self.backend.save_group(self.id("group"), b"x"),
            lambda: self.backend.load_group(self.id("group")),
        ):
            with pytest.raises(BackendError, match="result_backend"):
                ask()
