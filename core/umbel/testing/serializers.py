"""The suites that prove a serializer and a compressor.

::

    import pytest
    from umbel.testing.serializers import SerializerContract

    class TestUbjson(SerializerContract):
        @pytest.fixture
        def serializer(self):
            return UbjsonSerializer()

The values are what every serializer must hold: task arguments and results of JSON's types. One that holds more adds
them by overriding :meth:`SerializerContract.more_values`.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel.spi import Compressor, Serializer

__all__ = ["CompressorContract", "SerializerContract", "plain_values"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*")
_CONTENT_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+")
# Inherited tests run under many classes, with a fixture that never changes; time is the machine's.
_SUITE: Final = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)
_THREADS: Final = 8
_ROUNDS: Final = 50
_BOMB_BYTES: Final = 1_000_000


def plain_values() -> st.SearchStrategy[Any]:
    """Return a strategy for what every serializer must hold: JSON's types, whole numbers of 64 bits, any text."""
    atoms = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(min_value=-(2**63), max_value=2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
    )
    return st.recursive(
        atoms,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )


class _Unknown:
    """A class that no serializer has heard of, and that cannot be pickled either."""

    def __reduce__(self) -> str:
        raise TypeError("this is not to be pickled")


class SerializerContract:
    """Every test of a :class:`~umbel.spi.Serializer`. Subclass it, and give the fixture ``serializer``."""

    @pytest.fixture
    def serializer(self) -> Serializer:
        raise NotImplementedError("give the fixture 'serializer' in your test class")

    def more_values(self) -> st.SearchStrategy[Any]:
        """Return a strategy for what this serializer holds beyond :func:`plain_values`."""
        return st.none()

    def test_it_says_what_it_is(self, serializer: Serializer) -> None:
        assert _NAME.fullmatch(serializer.name), serializer.name
        assert _CONTENT_TYPE.fullmatch(serializer.content_type), serializer.content_type
        assert serializer.content_encoding in {"utf-8", "us-ascii", "binary"}
        assert isinstance(serializer.is_safe, bool)

    @_SUITE
    @given(data=st.data())
    def test_values_come_back(self, serializer: Serializer, data: st.DataObject) -> None:
        value = data.draw(plain_values())
        assert _same(serializer.loads(serializer.dumps(value)), value)

    @_SUITE
    @given(data=st.data())
    def test_its_own_values_come_back(self, serializer: Serializer, data: st.DataObject) -> None:
        value = data.draw(self.more_values())
        assert _same(serializer.loads(serializer.dumps(value)), value)

    def test_a_message_body_comes_back(self, serializer: Serializer) -> None:
        embed = {"callbacks": None, "errbacks": [], "chain": [{"task": "t", "args": [1], "options": {}}], "chord": None}
        args, kwargs, again = serializer.loads(serializer.dumps(((1, "ä"), {"key": 2.5}, embed)))
        assert (list(args), kwargs, again) == ([1, "ä"], {"key": 2.5}, embed)

    def test_text_encoding_is_what_it_says(self, serializer: Serializer) -> None:
        data = serializer.dumps({"text": "naïve ☃ 🌻"})
        assert isinstance(data, bytes)
        if serializer.content_encoding != "binary":
            data.decode(serializer.content_encoding)

    def test_what_it_cannot_hold_is_refused(self, serializer: Serializer) -> None:
        with pytest.raises((TypeError, ValueError)):
            serializer.dumps({"value": [_Unknown()]})

    def test_a_value_that_contains_itself_is_refused_or_kept(self, serializer: Serializer) -> None:
        value: list[Any] = []
        value.append(value)
        try:
            data = serializer.dumps(value)
        except (TypeError, ValueError):
            return
        again = serializer.loads(data)
        assert again[0] is again

    @_SUITE
    @given(garbage=st.binary(max_size=200))
    def test_garbage_is_refused(self, serializer: Serializer, garbage: bytes) -> None:
        # Random bytes may run anything in an unsafe one: there, text that starts no value.
        _loads_or_value_error(serializer, garbage if serializer.is_safe else b"\xff" + garbage)

    @_SUITE
    @given(data=st.data())
    def test_damaged_data_are_refused(self, serializer: Serializer, data: st.DataObject) -> None:
        whole = serializer.dumps(data.draw(plain_values()))
        cut = data.draw(st.integers(min_value=0, max_value=max(len(whole) - 1, 0)))
        _loads_or_value_error(serializer, whole[:cut])
        if serializer.is_safe:
            flipped = bytearray(whole)
            flipped[cut] ^= data.draw(st.integers(min_value=1, max_value=255))
            _loads_or_value_error(serializer, bytes(flipped))

    def test_deep_nesting_is_refused_or_read(self, serializer: Serializer) -> None:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        try:
            data = serializer.dumps(value)
        except (TypeError, ValueError):
            data = b"[" * 100_000
        if serializer.is_safe:
            _loads_or_value_error(serializer, data)
        while value:  # unwound by hand: older interpreters free nested lists recursively
            value = value[0]

    def test_threads_may_share_it(self, serializer: Serializer) -> None:
        _run_in_threads(lambda number: _round_trip(serializer, {"number": number, "list": [number] * 50}))

    def test_it_is_safe_if_it_says_so(self, serializer: Serializer) -> None:
        if not serializer.is_safe:
            pytest.skip(f"{serializer.name} does not claim to be safe")
        for attack in _ATTACKS:
            _ran.clear()
            _loads_or_value_error(serializer, attack)
            assert not _ran.is_set(), f"{serializer.name} ran code of the sender's: {attack!r}"


class CompressorContract:
    """Every test of a :class:`~umbel.spi.Compressor`. Subclass it, and give the fixture ``compressor``."""

    @pytest.fixture
    def compressor(self) -> Compressor:
        raise NotImplementedError("give the fixture 'compressor' in your test class")

    def test_it_says_what_it_is(self, compressor: Compressor) -> None:
        for name in (compressor.name, *compressor.aliases):
            assert _NAME.fullmatch(name), name
        assert _CONTENT_TYPE.fullmatch(compressor.content_type), compressor.content_type

    @_SUITE
    @given(data=st.binary(max_size=2000))
    def test_data_come_back(self, compressor: Compressor, data: bytes) -> None:
        compressed = compressor.compress(data)
        assert isinstance(compressed, bytes)
        assert compressor.decompress(compressed) == data
        assert compressor.decompress(compressed, len(data)) == data

    def test_it_makes_data_smaller(self, compressor: Compressor) -> None:
        assert len(compressor.compress(b"to and fro " * 1000)) < 2000

    @pytest.mark.parametrize("limit", [0, 1, 1000, _BOMB_BYTES - 1])
    def test_bombs_are_refused(self, compressor: Compressor, limit: int) -> None:
        bomb = compressor.compress(bytes(_BOMB_BYTES))
        with pytest.raises(ValueError):
            compressor.decompress(bomb, limit)

    @pytest.mark.parametrize("limit", [None, 10_000])
    def test_what_was_cut_off_is_refused(self, compressor: Compressor, limit: int | None) -> None:
        whole = compressor.compress(bytes(range(256)) * 4)
        for length in {0, 1, len(whole) // 2, len(whole) - 1}:
            with pytest.raises(ValueError):
                compressor.decompress(whole[:length], limit)

    @pytest.mark.parametrize("limit", [None, 10_000])
    @_SUITE
    @given(garbage=st.binary(max_size=200))
    def test_garbage_is_refused(self, compressor: Compressor, limit: int | None, garbage: bytes) -> None:
        try:
            restored = compressor.decompress(garbage, limit)
        except ValueError:
            return
        assert limit is None or len(restored) <= limit

    def test_threads_may_share_it(self, compressor: Compressor) -> None:
        def round_trip(number: int) -> None:
            data = f"{number},".encode() * 500
            assert compressor.decompress(compressor.compress(data), len(data)) == data

        _run_in_threads(round_trip)


# -- tools ------------------------------------------------------------------------------------------------------------

_ran = threading.Event()


def _attacked() -> None:
    """Called by an attack that worked."""
    _ran.set()


_HERE: Final = __name__.encode()
#: What makes the careless readers of well-known formats call :func:`_attacked`.
_ATTACKS: Final = (
    b"c" + _HERE + b"\n_attacked\n(tR.",
    b"!!python/object/apply:" + _HERE + b"._attacked []",
    b"!!python/object/new:" + _HERE + b"._attacked {}",
    b'{"py/reduce": [{"py/function": "' + _HERE + b'._attacked"}, {"py/tuple": []}]}',
    b'{"__type__": "' + _HERE + b'._attacked", "__value__": []}',
    b"__import__('" + _HERE + b"', fromlist=['x'])._attacked()",
)


def _loads_or_value_error(serializer: Serializer, data: bytes) -> None:
    with contextlib.suppress(ValueError):
        serializer.loads(data)


def _round_trip(serializer: Serializer, value: Any) -> None:
    assert serializer.loads(serializer.dumps(value)) == value


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are three values, and so are a list and a tuple."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _run_in_threads(work: Callable[[int], None]) -> None:
    """Call *work* from several threads at once; the first error is raised."""
    start = threading.Barrier(_THREADS, timeout=10)

    def run(thread: int) -> None:
        start.wait()
        for turn in range(_ROUNDS):
            work(thread * _ROUNDS + turn)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(run, range(_THREADS)))
