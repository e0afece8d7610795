"""The members of a chord are counted as a set, and its end is given out once."""

from __future__ import annotations

from functools import partial
from itertools import chain

import pytest

from umbel.model import JoinedChord
from umbel.spi import ResultBackend
from umbel.testing._backends.stage import BackendStage
from umbel.testing.capabilities import needs
from umbel.testing.threads import in_threads

__all__ = ["JoiningTests"]


class JoiningTests(BackendStage):
    """``join``."""

    @needs("stores")
    def test_the_last_part_completes_the_chord_in_the_order_of_its_header(self) -> None:
        assert not self.backend.join([self.part("c", 2, 3)])
        assert not self.backend.join([self.part("c", 0, 3)])
        [chord] = self.backend.join([self.part("c", 1, 3)])
        assert chord.group_id == self.id("c")
        assert chord.body == b"the body"
        assert [part.payload for part in chord.parts] == [b"0", b"1", b"2"]
        assert [part.index for part in chord.parts] == [0, 1, 2]
        assert [part.task_id for part in chord.parts] == [f"{self.id('c')}-{index}" for index in range(3)]
        assert {part.state for part in chord.parts} == {"SUCCESS"}

    @needs("stores")
    def test_all_parts_in_one_call(self) -> None:
        joined = self.backend.join([self.part("c", index, 300) for index in reversed(range(300))])
        assert self.payloads(joined) == [[str(index).encode() for index in range(300)]]

    @needs("stores")
    def test_a_chord_of_one(self) -> None:
        assert self.payloads(self.backend.join([self.part("c", 0, 1)])) == [[b"0"]]

    @needs("stores")
    def test_several_chords_in_one_call(self) -> None:
        self.backend.join([self.part("a", 0, 2), self.part("b", 0, 2), self.part("c", 0, 2)])
        joined = self.backend.join([self.part("b", 1, 2), self.part("c", 1, 2)])
        assert sorted(chord.group_id for chord in joined) == sorted([self.id("b"), self.id("c")])

    @needs("stores")
    def test_a_part_that_comes_again_is_counted_once(self) -> None:
        for _ in range(3):
            assert not self.backend.join([self.part("c", 0, 2), self.part("c", 0, 2)])
        assert self.payloads(self.backend.join([self.part("c", 1, 2)])) == [[b"0", b"1"]]

    @needs("stores")
    def test_the_completing_part_may_ask_again_and_no_other(self) -> None:
        """Its first answer may have been lost in a crash: then its task runs again, and asks again."""
        self.backend.join([self.part("c", 0, 2)])
        first = self.backend.join([self.part("c", 1, 2)])
        assert not self.connect().join([self.part("c", 0, 2)])
        again = self.connect().join([self.part("c", 1, 2)])
        assert self.payloads(again) == self.payloads(first) == [[b"0", b"1"]]
        assert again[0].body == b"the body"

    @needs("stores")
    def test_a_concluded_chord_is_given_to_nobody(self) -> None:
        if type(self.backend).conclude is ResultBackend.conclude:
            pytest.skip(f"{type(self.backend).__name__} does not override conclude(); see its docstring")
        self.backend.join([self.part("c", 0, 2)])
        assert self.backend.join([self.part("c", 1, 2)])
        self.backend.conclude([self.id("c"), self.id("unknown")])
        for index in (1, 0, 1):
            assert not self.connect().join([self.part("c", index, 2)])

    @needs("stores")
    def test_members_that_a_member_added_are_waited_for(self) -> None:
        assert not self.backend.join([self.part("c", 0, 2, extra=2)])
        assert not self.backend.join([self.part("c", 1, 2), self.part("c", 0, 2, extra=2)])
        assert not self.backend.join([self.part("c", None, 2, task_id="x", payload=b"x")])
        [chord] = self.backend.join([self.part("c", None, 2, task_id="y", payload=b"y", extra=0)])
        assert [part.payload for part in chord.parts][:2] == [b"0", b"1"]
        assert sorted(part.payload for part in chord.parts) == [b"0", b"1", b"x", b"y"]

    @needs("stores")
    def test_the_size_may_be_told_by_any_part(self) -> None:
        assert not self.backend.join([self.part("c", 0, None), self.part("c", 1, None)])
        assert self.payloads(self.backend.join([self.part("c", 2, 3)])) == [[b"0", b"1", b"2"]]
        assert not self.backend.join([self.part("d", 0, 2)])
        assert self.payloads(self.backend.join([self.part("d", 1, None)])) == [[b"0", b"1"]]

    @needs("stores")
    def test_parts_without_an_index_are_joined_too(self) -> None:
        self.backend.join([self.part("c", None, 2, task_id="a", payload=b"x")])
        [chord] = self.backend.join([self.part("c", None, 2, task_id="b", payload=b"y")])
        assert sorted(part.payload for part in chord.parts) == [b"x", b"y"]

    @needs("stores")
    def test_binary_and_large_parts(self) -> None:
        large = bytes(range(256)) * 4096
        self.backend.join([self.part("c", 0, 2, payload=large)])
        assert self.payloads(self.backend.join([self.part("c", 1, 2, payload=b"")])) == [[large, b""]]

    @needs("stores")
    def test_many_threads_complete_each_chord_once(self) -> None:
        groups = [f"g{number}" for number in range(10)]
        backends = [self.connect() for _ in range(4)]

        def join(number: int) -> list[JoinedChord]:
            joined: list[JoinedChord] = []
            for group in groups:
                # Each member is reported by two threads, in different orders.
                mine = [index for index in range(8) if index % 4 in {number, (number + 1) % 4}]
                for index in mine if number % 2 else reversed(mine):
                    joined.extend(backends[number].join([self.part(group, index, 8)]))
            return joined

        joined = list(chain.from_iterable(in_threads([partial(join, number) for number in range(4)])))
        assert {chord.group_id for chord in joined} == {self.id(group) for group in groups}
        for group in groups:
            mine = [chord for chord in joined if chord.group_id == self.id(group)]
            # Once, or twice where the completing member itself was reported again afterwards.
            assert 1 <= len(mine) <= 2
            assert {tuple(part.payload for part in chord.parts) for chord in mine} == {
                tuple(str(index).encode() for index in range(8))
            }

    @needs("stores", "many_processes")
    def test_many_processes_complete_a_chord_exactly_once(self) -> None:
        children = [self.child() for _ in range(3)]
        for number, child in enumerate(children):
            child.begin("join", group=self.id("c"), members=list(range(number, 30, 3)), size=30)
        joined = list(chain.from_iterable(child.answer() for child in children))
        assert joined == [[str(index) for index in range(30)]]
