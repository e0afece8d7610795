from __future__ import annotations

import pytest

pytest.importorskip("msgpack", reason="pip install 'umbel[msgpack]'")

from umbel_serializer_msgpack import MsgpackSerializer

SERIALIZER = MsgpackSerializer()


def test_text_and_bytes_stay_apart() -> None:
    assert SERIALIZER.loads(SERIALIZER.dumps(["text", b"bytes"])) == ["text", b"bytes"]


def test_keys_may_be_numbers() -> None:
    assert SERIALIZER.loads(SERIALIZER.dumps({1: "one"})) == {1: "one"}


def test_numbers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        SERIALIZER.dumps(2**64)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", b"\x01\x01", b"\x81\x90\x01", b"\xd9\x01\xff"])
def test_garbage_is_refused(data: bytes) -> None:
    """Empty, reserved, too short, too long, a list as a key, text that is not UTF-8."""
    with pytest.raises(ValueError):
        SERIALIZER.loads(data)
