"""What settings cost: at import, and at each read."""

from __future__ import annotations

import subprocess
import sys

import umbel
from umbel.settings import OPTIONS, Configuration, Settings


class Plain:
    __slots__ = ("x",)
    x: bool


def test_reading_a_setting_is_reading_a_slot() -> None:
    """No ``__getattr__`` (it doubles the time), no property: the sending path reads settings at each call."""
    assert not hasattr(Configuration, "__getattr__")
    assert Configuration.__getattribute__ is object.__getattribute__
    for name in OPTIONS:
        assert type(vars(Settings)[name]) is type(vars(Plain)["x"])


def test_importing_the_settings_loads_nothing_slow() -> None:
    code = (
        "import sys, types, attrs, click\n"
        "umbel = sys.modules['umbel'] = types.ModuleType('umbel')  # not what the package itself imports\n"
        f"umbel.__path__ = {list(umbel.__path__)!r}\n"
        "before = set(sys.modules); import umbel.settings\n"
        "print(sorted(m for m in set(sys.modules) - before"
        " if m.partition('.')[0] in {'json', 'tomllib', 'difflib', 'zoneinfo', 'ast', 'pluggy', 'urllib', 'kombu'}"
        " or m == 'umbel.urls'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
