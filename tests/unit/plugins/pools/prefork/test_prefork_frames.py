from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel_pool_prefork._frames import FrameReader, encode_frame

CONTENTS = st.lists(st.lists(st.tuples(st.integers(0, 2**63), st.binary(max_size=300)), max_size=5), max_size=6)


@given(CONTENTS, st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_frames_survive_any_cutting(contents: list[object], cuts: list[int]) -> None:
    stream = b"".join(piece for content in contents for piece in encode_frame(content))
    reader = FrameReader()
    frames: list[object] = []
    position = turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        frames += reader.feed(memoryview(stream)[position : position + size])
        position += size
        turn += 1
    assert frames == contents


def test_a_large_frame_is_not_copied_together() -> None:
    pieces = encode_frame([(1, b"x" * 200_000)])
    assert len(pieces) == 2
    assert FrameReader().feed(memoryview(b"".join(pieces))) == [[(1, b"x" * 200_000)]]


def test_garbage_is_an_error() -> None:
    with pytest.raises((ValueError, EOFError, TypeError)):
        FrameReader().feed(memoryview((4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc"))
