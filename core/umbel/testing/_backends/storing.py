"""What is stored can be loaded, by the rule of who may replace what."""

from __future__ import annotations

import itertools
import time
from functools import partial

import pytest

from umbel.exceptions import BackendError
from umbel.model import TaskMeta
from umbel.states import ALL_STATES, FAILURE, PENDING, REJECTED, RETRY, STARTED, SUCCESS
from umbel.testing._backends.stage import SOON_S, BackendStage
from umbel.testing.capabilities import needs, without
from umbel.testing.threads import in_threads, until

__all__ = ["StoringTests"]

_STATES = sorted({*ALL_STATES, REJECTED, "PROGRESS"})


class StoringTests(BackendStage):
    """``store``, ``load``, ``forget``, ``expire``, groups."""

    @needs("stores")
    def test_a_result_comes_out_as_it_went_in(self) -> None:
        payload = bytes(range(256))
        meta = self.meta(
            payload=payload, content_type="application/x-own", content_encoding="binary", attempt=3, expires_s=3600.0
        )
        self.backend.store([meta])
        [found] = self.backend.load([meta.task_id])
        assert found is not None
        assert (found.task_id, found.state, found.payload) == (meta.task_id, SUCCESS, payload)
        assert (found.content_type, found.content_encoding) == ("application/x-own", "binary")
        assert found.attempt == 3

    @needs("stores")
    def test_payloads_of_any_size(self) -> None:
        sizes = [0, 1, 70_000, 5 * 1024 * 1024]
        self.backend.store([self.meta(str(size), payload=b"\xfe" * size) for size in sizes])
        for size in sizes:
            [found] = self.backend.load([self.id(str(size))])
            assert found is not None
            assert len(found.payload) == size
            assert found.payload == b"\xfe" * size

    @needs("stores")
    def test_loading_answers_in_order_and_none_for_the_unknown(self) -> None:
        self.backend.store([self.meta("a", payload=b"a"), self.meta("b", payload=b"b")])
        found = self.backend.load([self.id(name) for name in ("b", "unknown", "a", "b")])
        assert [meta and meta.payload for meta in found] == [b"b", None, b"a", b"b"]

    @needs("stores")
    def test_nothing_asked_nothing_done(self) -> None:
        self.backend.store([])
        self.backend.forget([])
        assert list(self.backend.load([])) == []
        assert list(self.backend.join([])) == []

    @needs("stores")
    def test_task_ids_are_text_of_any_kind(self) -> None:
        names = ["ünï", "a/b", "../up", "with space", "CASE", "case", "x" * 200, "%2F", ".", "a:b*c?"]
        metas = [self.meta(name, payload=str(number).encode()) for number, name in enumerate(names)]
        self.backend.store(metas)
        found = self.backend.load([meta.task_id for meta in metas])
        assert [meta and meta.payload for meta in found] == [str(number).encode() for number in range(len(names))]

    @needs("stores")
    def test_every_pair_of_states_follows_the_rule(self) -> None:
        """A final state is not overwritten by an older attempt, SUCCESS by nothing: ``TaskMeta.may_replace``."""
        pairs = itertools.product(_STATES, (0, 1), _STATES, (0, 1))
        cases = []
        for number, (old_state, old_attempt, new_state, new_attempt) in enumerate(pairs):
            old = self.meta(f"pair{number}", old_state, b"old", attempt=old_attempt)
            new = self.meta(f"pair{number}", new_state, b"new", attempt=new_attempt)
            cases.append((old, new))
        self.backend.store([old for old, _ in cases])
        self.backend.store([new for _, new in cases])
        found = self.backend.load([old.task_id for old, _ in cases])
        wrong = []
        for (old, new), meta in zip(cases, found, strict=True):
            expected = new if new.may_replace(old) else old
            if meta is None or (meta.state, meta.payload) != (expected.state, expected.payload):
                got = meta and meta.state
                wrong.append(f"{old.state}/{old.attempt} then {new.state}/{new.attempt}: {got} stands")
        assert not wrong

    @needs("stores")
    def test_the_rule_holds_within_one_call(self) -> None:
        self.backend.store(
            [self.meta(state=STARTED), self.meta(state=SUCCESS, payload=b"1"), self.meta(state=FAILURE, payload=b"2")]
        )
        [found] = self.backend.load([self.id()])
        assert found is not None
        assert (found.state, found.payload) == (SUCCESS, b"1")

    @needs("stores")
    def test_of_many_who_succeed_at_once_the_first_stands(self) -> None:
        backends = [self.connect() for _ in range(4)]
        calls = [partial(backend.store, [self.meta(payload=str(n).encode())]) for n, backend in enumerate(backends)]
        in_threads(calls)
        [first] = self.backend.load([self.id()])
        self.backend.store([self.meta(payload=b"late")])
        [again] = self.backend.load([self.id()])
        assert first is not None
        assert again is not None
        assert again.payload == first.payload

    @needs("stores")
    def test_a_retry_after_a_failure_may_write_anew(self) -> None:
        self.backend.store([self.meta(state=FAILURE, attempt=0)])
        self.backend.store([self.meta(state=RETRY, attempt=0)])
        assert self.state() == FAILURE
        self.backend.store([self.meta(state=STARTED, attempt=1)])
        assert self.state() == STARTED

    @needs("stores")
    def test_forgetting(self) -> None:
        self.backend.store([self.meta("a"), self.meta("b")])
        self.backend.forget([self.id("a"), self.id("unknown")])
        assert (self.state("a"), self.state("b")) == (None, SUCCESS)
        self.backend.store([self.meta("a", PENDING)])
        assert self.state("a") == PENDING

    @needs("stores")
    def test_thousands_at_once_from_many_threads(self) -> None:
        names = [f"many{number}" for number in range(2000)]

        def store(part: int) -> None:
            mine = names[part::4]
            for start in range(0, len(mine), 100):
                self.backend.store([self.meta(name, payload=name.encode()) for name in mine[start : start + 100]])

        in_threads([partial(store, part) for part in range(4)])
        found = self.backend.load([self.id(name) for name in names])
        assert [meta and meta.payload for meta in found] == [name.encode() for name in names]

    @needs("stores", "many_processes")
    def test_processes_see_the_same_results(self) -> None:
        child = self.child()
        child.call("store", metas=[(self.id("theirs"), SUCCESS, "from afar", 0)])
        assert self.state("theirs") == SUCCESS
        self.backend.store([self.meta("ours", payload=b"near")])
        assert child.call("load", ids=[self.id("ours"), self.id("no")]) == [[self.id("ours"), SUCCESS, "near"], None]

    @needs("stores", "durable")
    def test_results_are_there_when_the_store_is_opened_again(self) -> None:
        self.backend.store([self.meta(payload=b"1")])
        self.backend.save_group(self.id("group"), b"2")
        self.backend.join([self.part("chord", 0, 2)])
        self.backend.close()
        again = self.connect()
        assert self.state(backend=again) == SUCCESS
        assert again.load_group(self.id("group")) == b"2"
        assert self.payloads(again.join([self.part("chord", 1, 2)])) == [[b"0", b"1"]]

    # -- expiry -------------------------------------------------------------------------------------------------------

    @needs("stores")
    @without("expires")
    def test_expire_removes_what_is_over_and_counts_it(self) -> None:
        self.backend.store(
            [self.meta("short", expires_s=10), self.meta("long", expires_s=1000), self.meta("ever", expires_s=None)]
        )
        assert self.backend.expire(time.time()) == 0
        assert self.backend.expire(time.time() + 60) == 1
        assert [self.state(name) for name in ("short", "long", "ever")] == [None, SUCCESS, SUCCESS]
        assert self.backend.expire(time.time() + 2000) == 1
        assert self.state("ever") == SUCCESS

    @needs("stores", "expires")
    def test_a_result_disappears_when_its_time_is_over(self) -> None:
        self.backend.store([self.meta("short", expires_s=1), self.meta("long", expires_s=1000)])
        assert self.state("short") == SUCCESS
        until(lambda: self.state("short") is None, SOON_S)
        assert self.state("long") == SUCCESS
        assert self.backend.expire(time.time()) == 0

    # -- groups -------------------------------------------------------------------------------------------------------

    @needs("stores")
    def test_groups_are_saved_loaded_and_removed(self) -> None:
        group = self.id("group/ü")
        assert self.backend.load_group(group) is None
        self.backend.save_group(group, b"\x00first")
        self.backend.save_group(group, b"second", 3600.0)
        assert self.connect().load_group(group) == b"second"
        self.backend.save_group(group, None)
        self.backend.save_group(group, None)
        assert self.backend.load_group(group) is None

    @needs("stores")
    def test_a_group_is_no_task(self) -> None:
        self.backend.save_group(self.id("x"), b"group")
        assert list(self.backend.load([self.id("x")])) == [None]
        self.backend.store([self.meta("x")])
        assert self.backend.load_group(self.id("x")) == b"group"

    # -- a store that keeps nothing -----------------------------------------------------------------------------------

    @without("stores")
    def test_storing_is_silent_where_nothing_is_kept(self) -> None:
        """[B154] [B856]."""
        self.backend.store([self.meta(), TaskMeta("other", STARTED, b"")])
        assert self.backend.expire(time.time()) == 0

    @without("stores")
    def test_reading_says_what_to_configure_where_nothing_is_kept(self) -> None:
        """[B154] [B856]."""
        for read in (
            lambda: self.backend.load([self.id()]),
            lambda: self.backend.wait([self.id()], 0.1),
            lambda: self.backend.load_group(self.id()),
            lambda: self.backend.join([self.part("chord", 0, 1)]),
        ):
            with pytest.raises(BackendError, match="result_backend"):
                read()
