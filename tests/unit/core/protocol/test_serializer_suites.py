"""The shipped suites catch what they are there to catch: each broken plugin fails the test that names its fault."""

from __future__ import annotations

import json
import pickle
import threading
import zlib
from typing import Any

import pytest

from umbel.spi import Compressor, Serializer
from umbel.testing.serializers import CompressorContract, SerializerContract


class Plain(Serializer):
    name = "plain"
    content_type = "application/x-plain"
    is_safe = True

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class Pickled(Plain):
    """Claims to be safe."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


class Texts(Plain):
    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, default=str).encode()


class Floats(Plain):
    def loads(self, data: bytes) -> Any:
        return json.loads(data, parse_int=float)


class Keys(Plain):
    def loads(self, data: bytes) -> Any:
        return json.loads(data, object_hook=list)


class Named(Plain):
    name = "Plain Text"


class Latin(Plain):
    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode("utf-16")


class Shared(Plain):
    """Keeps what it works on in itself."""

    def __init__(self) -> None:
        self.value: Any = None
        self.meet = threading.Barrier(2, timeout=1)

    def dumps(self, value: Any) -> bytes:
        self.value = value
        self.meet.wait()
        return json.dumps(self.value).encode()


@pytest.mark.parametrize(
    ("serializer", "test"),
    [
        (Pickled(), "test_it_is_safe_if_it_says_so"),
        (Pickled(), "test_garbage_is_refused"),
        (Pickled(), "test_damaged_data_are_refused"),
        (Plain(), "test_deep_nesting_is_refused_or_read"),
        (Texts(), "test_what_it_cannot_hold_is_refused"),
        (Floats(), "test_values_come_back"),
        (Keys(), "test_a_message_body_comes_back"),
        (Named(), "test_it_says_what_it_is"),
        (Latin(), "test_text_encoding_is_what_it_says"),
        (Shared(), "test_threads_may_share_it"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_serializer_fails(serializer: Serializer, test: str) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        getattr(SerializerContract(), test)(serializer=serializer)


class Zlib(Compressor):
    name = "zlib"
    content_type = "application/x-zlib"

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data)

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        return zlib.decompress(data)


class Cutting(Zlib):
    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        return zlib.decompressobj().decompress(data, max_bytes or 0)


class Storing(Zlib):
    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, 0)


@pytest.mark.parametrize(
    ("compressor", "test", "arguments"),
    [
        (Zlib(), "test_bombs_are_refused", {"limit": 1000}),
        (Zlib(), "test_what_was_cut_off_is_refused", {"limit": None}),
        (Zlib(), "test_garbage_is_refused", {"limit": None}),
        (Cutting(), "test_bombs_are_refused", {"limit": 1000}),
        (Cutting(), "test_what_was_cut_off_is_refused", {"limit": 10_000}),
        (Storing(), "test_it_makes_data_smaller", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_compressor_fails(compressor: Compressor, test: str, arguments: dict[str, Any]) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        getattr(CompressorContract(), test)(compressor=compressor, **arguments)
