"""Suites that prove a plugin, and fixtures for the tests of those who use Umbel.

A plugin's author subclasses one class of the module of his kind (:mod:`umbel.testing.transports`, ``backends``,
``pools``, ``serializers``, ``routers``, ``schedulers``), gives the fixture that it asks for, and gets every test that
his declared capabilities call for. :func:`check` runs the same suite against an installed plugin by its name.

Umbel itself never imports pytest; the modules of the suites do, so they need ``pip install 'umbel[testing]'``.
"""

from __future__ import annotations

import sys

from umbel.testing.checking import check

__all__ = ["check"]

# Under pytest alone: a suite is imported by a test module, and its assertions should show what they compared.
if "pytest" in sys.modules:
    import pytest

    pytest.register_assert_rewrite(
        "umbel.testing._backends",
        "umbel.testing._transports",
        "umbel.testing.backends",
        "umbel.testing.pools",
        "umbel.testing.routers",
        "umbel.testing.schedulers",
        "umbel.testing.serializers",
        "umbel.testing.transports",
    )
