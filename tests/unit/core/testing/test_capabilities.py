from __future__ import annotations

import pytest

from umbel.spi import BackendCapabilities
from umbel.testing.capabilities import needs, needs_hook, skip_undeclared, without


class Root:
    def cut(self) -> None:
        """Do nothing."""


class Theirs(Root):
    def cut(self) -> None:
        """Cut."""


@needs("durable")
@without("push")
@needs_hook("cut")
def some_test() -> None:
    """To be skipped or not."""


@pytest.mark.parametrize(
    ("capabilities", "suite", "reason"),
    [
        (BackendCapabilities(), Theirs(), "Thing does not declare 'durable'"),
        (BackendCapabilities(durable=True, push=True), Theirs(), "Thing declares 'push'"),
        (BackendCapabilities(durable=True), Root(), r"Root does not override cut\(\)"),
    ],
)
def test_a_skip_says_why_by_name(capabilities: BackendCapabilities, suite: Root, reason: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=reason):
        skip_undeclared(some_test, capabilities, "Thing", suite, Root)


def test_what_is_declared_is_run() -> None:
    skip_undeclared(some_test, BackendCapabilities(durable=True), "Thing", Theirs(), Root)


def test_a_misspelt_capability_is_an_error() -> None:
    with pytest.raises(KeyError):
        skip_undeclared(needs("durabel")(lambda: None), BackendCapabilities(), "Thing", Root(), Root)
