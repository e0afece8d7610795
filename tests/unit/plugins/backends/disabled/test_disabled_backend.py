from __future__ import annotations

from collections.abc import Callable

import pytest

from umbel.exceptions import BackendError
from umbel.model import ChordPart, TaskMeta
from umbel_backend_disabled import DisabledBackend, ResultsDisabled


def test_storing_does_nothing() -> None:
    """[B154] [B856]."""
    backend = DisabledBackend()
    backend.open(1.0)
    backend.store([TaskMeta("a", "SUCCESS", b"")])
    assert backend.expire(0) == 0
    backend.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda backend: backend.load(["a"]),
        lambda backend: backend.wait(["a"], 30.0),
        lambda backend: backend.forget(["a"]),
        lambda backend: backend.save_group("g", b""),
        lambda backend: backend.load_group("g"),
        lambda backend: backend.join([ChordPart("g", "t", 0, "SUCCESS", b"", b"", 1)]),
    ],
)
def test_everything_else_says_what_to_configure(read: Callable[[DisabledBackend], object]) -> None:
    """[B154] [B856]."""
    with pytest.raises(ResultsDisabled, match=r"expected a result backend to .*: set result_backend") as raised:
        read(DisabledBackend())
    assert isinstance(raised.value, BackendError)
    assert isinstance(raised.value, NotImplementedError)
