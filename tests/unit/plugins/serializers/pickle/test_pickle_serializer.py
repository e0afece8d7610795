from __future__ import annotations

import datetime as dt
import pickletools

import pytest

from umbel_serializer_pickle import PickleSerializer


def test_it_holds_any_value_and_says_that_it_is_unsafe() -> None:
    serializer = PickleSerializer()
    value = {"set": {1, 2}, "delta": dt.timedelta(1), "tuple": (1, 2), "error": ArithmeticError}
    assert serializer.loads(serializer.dumps(value)) == value
    assert not serializer.is_safe


def protocol_of(data: bytes) -> object:
    opcode, protocol, _ = next(pickletools.genops(data))
    return protocol if opcode.name == "PROTO" else 0


def test_the_protocol_is_kombus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PICKLE_PROTOCOL", raising=False)
    assert protocol_of(PickleSerializer().dumps([1])) == 4
    monkeypatch.setenv("PICKLE_PROTOCOL", "2")
    assert protocol_of(PickleSerializer().dumps([1])) == 2


def test_what_cannot_be_pickled_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot pickle list"):
        PickleSerializer().dumps([lambda: None])


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80\x04", b"cno_such_module\nx\n.", b"cos\nno_such_name\n."])
def test_damaged_pickles_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a pickle"):
        PickleSerializer().loads(data)
