from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import sys
import types
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from umbel_serializer_json import JsonSerializer

SERIALIZER = JsonSerializer()
DUMPS, LOADS = SERIALIZER.dumps, SERIALIZER.loads


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # WIRE 1.4, to the byte
        (
            dt.datetime(2026, 1, 2, 3, 4, 5, 678, dt.UTC),
            b'{"__type__": "datetime", "__value__": "2026-01-02T03:04:05.000678+00:00"}',
        ),
        (dt.date(2026, 1, 2), b'{"__type__": "date", "__value__": "2026-01-02"}'),
        (dt.time(1, 2, 3), b'{"__type__": "time", "__value__": "01:02:03"}'),
        (decimal.Decimal("1.5"), b'{"__type__": "decimal", "__value__": "1.5"}'),
        (uuid.UUID(int=1), b'{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}}'),
        (b"\xff\x00", b'{"__type__": "base64", "__value__": "/wA="}'),
        (b"abc", b'{"__type__": "bytes", "__value__": "abc"}'),
        ([1, "ä", None, True, 1.5], b'[1, "\\u00e4", null, true, 1.5]'),
    ],
)
def test_values_are_marked_as_kombu_marks_them(value: Any, data: bytes) -> None:
    assert DUMPS(value) == data
    assert LOADS(data) == value
    assert type(LOADS(data)) is type(value)


def test_tuples_become_lists_and_whole_number_keys_text() -> None:
    assert LOADS(DUMPS({1: (2, 3)})) == {"1": [2, 3]}


def test_an_object_is_asked_for_its_json() -> None:
    class Money:
        def __json__(self) -> Any:
            return {"amount": decimal.Decimal("1.10")}

    assert LOADS(DUMPS([Money()])) == [{"amount": decimal.Decimal("1.10")}]


def test_subclasses_of_marked_types_are_marked() -> None:
    class Stamp(dt.datetime):
        pass

    assert LOADS(DUMPS(Stamp(2026, 1, 2, tzinfo=dt.UTC))) == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        ({1, 2}, "sorted"),
        (frozenset(), "sorted"),
        (dt.timedelta(seconds=3), "total_seconds"),
        (object(), "__json__"),
        (bytearray(b"x"), "__json__"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_a_cure(value: Any, cure: str) -> None:
    with pytest.raises(TypeError, match=cure):
        DUMPS({"deep": [value]})


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="contains itself"):
        DUMPS(value)


def test_lazy_translations_of_django_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Promise:
        def __str__(self) -> str:
            return "bonjour"

    module = types.ModuleType("django.utils.functional")
    module.Promise = Promise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert DUMPS([Promise()]) == b'["bonjour"]'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"__type__": "nonsense", "__value__": 1}',
        b'{"__type__": "datetime", "__value__": 1}',
        b'{"__type__": "decimal", "__value__": "x"}',
        b'{"__type__": "uuid", "__value__": {"nohex": 1}}',
        b'{"__type__": [], "__value__": 1}',
        b'{"__type__": "bytes", "__value__": 1}',
        b"[" * 100_000,
    ],
)
def test_garbage_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        LOADS(data)


def test_a_mark_behind_escapes_is_a_mark() -> None:
    """What kombu reads as bytes must not come through as a plain mapping because orjson was asked."""
    assert LOADS(rb'{"\u005f_type__": "bytes", "__value__": "abc"}') == b"abc"
    assert LOADS(rb'{"__t\u0079pe__": "bytes", "__value__": "abc"}') == b"abc"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**40, 2**64 - 1, -(2**63)])
def test_whole_numbers_of_any_size_come_back(number: int) -> None:
    assert LOADS(DUMPS({"number": [number]})) == {"number": [number]}


def test_numbers_that_are_not_in_the_standard_are_read_as_python_writes_them() -> None:
    nan, infinity = LOADS(DUMPS([math.nan, -math.inf]))
    assert math.isnan(nan)
    assert infinity == -math.inf


def test_lone_surrogates_come_back() -> None:
    assert LOADS(DUMPS("\ud800x")) == "\ud800x"


JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON_TEXT)
@example(-0.0)
@example(1e400)
@example(2**64)
def test_reading_is_what_the_standard_library_reads(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        try:
            data = text.encode()
        except UnicodeEncodeError:
            continue
        assert repr(LOADS(data)) == repr(json.loads(text))
    assert DUMPS(value) == json.dumps(value).encode()


@given(st.text(alphabet='[]{}",:0123456789.eE+- \\utrfnalse', max_size=30))
def test_near_json_is_refused_or_read_as_the_standard_library_does(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            LOADS(text.encode())
    else:
        assert repr(LOADS(text.encode())) == repr(expected)
