"""Says which tests of a suite a plugin must pass: those whose capabilities it declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import pytest

__all__ = ["is_about", "needs", "needs_hook", "skip_undeclared", "without"]

_TestT = TypeVar("_TestT", bound=Callable[..., Any])
_NEEDS: Final = "umbel_needs"
_WITHOUT: Final = "umbel_without"
_HOOKS: Final = "umbel_needs_hooks"


def _note(test: Any, attribute: str, names: tuple[str, ...]) -> None:
    setattr(test, attribute, (*getattr(test, attribute, ()), *names))


def needs(*names: str) -> Callable[[_TestT], _TestT]:
    """Mark a test that is only for plugins that declare all capabilities *names*."""

    def mark(test: _TestT) -> _TestT:
        _note(test, _NEEDS, names)
        return test

    return mark


def without(*names: str) -> Callable[[_TestT], _TestT]:
    """Mark a test that is only for plugins that declare none of *names*."""

    def mark(test: _TestT) -> _TestT:
        _note(test, _WITHOUT, names)
        return test

    return mark


def needs_hook(*names: str) -> Callable[[_TestT], _TestT]:
    """Mark a test that needs the methods *names*, which the author of a plugin may override in his test class."""

    def mark(test: _TestT) -> _TestT:
        _note(test, _HOOKS, names)
        return test

    return mark


def is_about(test: Any, name: str) -> bool:
    """Say whether *test* is only for plugins that declare *name*."""
    return name in getattr(test, _NEEDS, ())


def skip_undeclared(test: Any, capabilities: Any, plugin: str, suite: object, root: type) -> None:
    """Skip *test*, by name and with the reason, unless *capabilities* and the hooks of *suite* allow it.

    *root* is the class in which the hooks do nothing.
    """
    known = attrs.asdict(capabilities, recurse=False)
    for name in getattr(test, _NEEDS, ()):
        if not known[name]:
            pytest.skip(f"{plugin} does not declare {name!r}")
    for name in getattr(test, _WITHOUT, ()):
        if known[name]:
            pytest.skip(f"{plugin} declares {name!r}")
    for name in getattr(test, _HOOKS, ()):
        if getattr(type(suite), name) is getattr(root, name):
            pytest.skip(f"{type(suite).__name__} does not override {name}(); see its docstring")
