from __future__ import annotations

import datetime as dt

import pytest

pytest.importorskip("yaml", reason="pip install 'umbel[yaml]'")

from umbel_serializer_yaml import YamlSerializer

SERIALIZER = YamlSerializer()


def test_it_holds_dates_and_sets() -> None:
    value = {
        "date": dt.date(2026, 1, 2),
        "time": dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
        "set": {1, 2},
        "b": b"\xff",
    }
    assert SERIALIZER.loads(SERIALIZER.dumps(value)) == value


@pytest.mark.parametrize(
    "data", [b"!!python/name:os.system", b"{", b"!!timestamp x", b"\xff\xfe\x00", b"!!int ''", b"a: b: c"]
)
def test_tags_of_python_and_garbage_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not YAML"):
        SERIALIZER.loads(data)


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="not YAML"):
        SERIALIZER.dumps([object()])
