from __future__ import annotations

import pytest

from umbel.spi import BackendCapabilities
from umbel.testing.capabilities import needs, needs_hook, skip_undeclared, without


class Root:
    def cut(self):
        """Do nothing."""


class Theirs(Root):
    def cut(self):
        """Cut."""


@needs("durable")
@without("push")
@needs_hook("cut")
def some_test():
    """To be skipped or not."""


@pytest.mark.parametrize(
    ("capabilities", "suite", "reason"),
    [
        (BackendCapabilities(), Theirs(), "Thing does not declare 'durable'"),
        (BackendCapabilities(durable=True, push=True), Theirs(), "Thing declares 'push'"),
        (BackendCapabilities(durable=True), Root(), r"Root does not override cut\(\)"),
    ],
)
def test_a_skip_says_why_by_name(capabilities, suite, reason):
    with pytest.raises(pytest.skip.Exception, match=reason):
        skip_undeclared(some_test, capabilities, "Thing", suite, Root)


def test_what_is_declared_is_run():
    skip_undeclared(some_test, BackendCapabilities(durable=True), "Thing", Theirs(), Root)


def test_a_misspelt_capability_is_an_error():
    with pytest.raises(KeyError):
        skip_undeclared(needs("durabel")(lambda: None), BackendCapabilities(), "Thing", Root(), Root)
