from __future__ import annotations

import sys
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.protocol.reprs import saferepr, safestr

ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.frozensets(ATOMS) | st.lists(inner).map(tuple)
    ),
    max_leaves=30,
)


class Point(NamedTuple):
    x: int
    y: int


class Broken:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class Rude:
    def __repr__(self) -> Any:
        return 5


@given(VALUES)
def test_short_and_shallow_values_are_their_repr(value: Any) -> None:
    text = repr(value)
    if len(text) < 900:
        assert saferepr(value, 1024, None) == text


@given(VALUES, st.integers(min_value=0, max_value=60))
def test_texts_are_bounded_and_encodable(value: Any, maxlen: int) -> None:
    text = saferepr(value, maxlen)
    assert len(text) <= maxlen
    text.encode()


def test_what_is_cut_is_marked() -> None:
    text = saferepr(list(range(1000)), 40)
    assert text.startswith("[0, 1, 2, ")
    assert "..." in text


def test_deep_levels_are_left_out() -> None:
    assert saferepr(([[[1]]], {"a": {"b": [1]}})) == "([[[...]]], {'a': {'b': [...]}})"
    assert saferepr([[[[1]]]], maxlevels=None) == "[[[[1]]]]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Broken(), "<Unrepresentable Broken: ZeroDivisionError>"),
        ([1, Broken()], "[1, <Unrepresentable Broken: ZeroDivisionError>]"),
        (Rude(), "<Unrepresentable Rude: TypeError>"),
        ({"k": Broken()}, "{'k': <Unrepresentable Broken: ZeroDivisionError>}"),
        pytest.param(10**10_000, "<int of 33220 bits>", id="long number"),
        ([10**10_000], "[<int of 33220 bits>]"),
        ((set(), frozenset()), "(set(), frozenset())"),
        (("x" * 200,), "('" + "x" * 200 + "',)"),
        (Point(1, 2), "(1, 2)"),
        (OrderedDict(a=1), "{'a': 1}"),
        ("a\nb\x1b[31m", "'a\\nb\\x1b[31m'"),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_odd_values(value: Any, text: str) -> None:
    """[B1106, B1110] Broken representations and control characters never crash or garble."""
    assert saferepr(value) == text


def test_an_object_whose_repr_cannot_be_encoded_is_escaped() -> None:
    class Surrogate:
        def __repr__(self) -> str:
            return "\udc80"

    assert saferepr(Surrogate()) == "\\udc80"


def test_values_that_contain_themselves_end() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert saferepr(value, maxlevels=None) == "[1, <Recursion on list>]"
    assert saferepr({"again": value}) == "{'again': [1, <Recursion on list>]}"


def test_nesting_beyond_the_interpreters_limit_ends() -> None:
    value: list[Any] = []
    for _ in range(sys.getrecursionlimit() * 2):
        value = [value]
    assert len(saferepr(value, 10_000, None)) <= 10_000


def test_containers_of_the_users_own_that_fail() -> None:
    class Liar(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise KeyError("no length")

        def __iter__(self) -> Any:
            raise KeyError("no elements")

    assert "Unrepresentable" in saferepr([Liar([1])])


@pytest.mark.parametrize(
    "value",
    [
        ("x" * 10_000_000,),
        [b"\xff" * 10_000_000],
        list(range(2_000_000)),
        dict.fromkeys(range(1_000_000), "x" * 1000),
        [[0] * 100_000] * 1000,
    ],
    ids=["text", "bytes", "list", "dict", "lists"],
)
def test_huge_values_cost_no_more_than_small_ones(value: Any) -> None:
    started = time.process_time()
    for _ in range(10):
        assert len(saferepr(value)) <= 1024
    assert time.process_time() - started < 0.25, "25 ms a value means that all of it was looked at"


def test_safestr_is_str_where_that_works() -> None:
    class BrokenStr:
        def __str__(self) -> str:
            raise ValueError

        def __repr__(self) -> str:
            return "<it>"

    assert safestr(ValueError("x")) == "x"
    assert safestr(BrokenStr()) == "<it>"
    assert safestr("\udc80") == "\\udc80"
    assert safestr("x" * 50, 5) == "xxxxx"
