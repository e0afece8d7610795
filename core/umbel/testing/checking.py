"""Runs the suite of its kind against an installed plugin."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import attrs

from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.model import PluginInfo

__all__ = ["SUITES", "CheckedPlugin", "check"]

#: The kinds that have a suite.
SUITES = ("transport", "backend", "pool", "serializer", "router", "scheduler")
#: Modules whose assertions show what they compared.
_REWRITTEN = (
    "umbel.testing._transports",
    "umbel.testing._backends",
    "umbel.testing._pools",
    *(f"umbel.testing.{kind}s" for kind in SUITES),
)


@attrs.frozen
class CheckedPlugin:
    """What the test modules in ``umbel.testing._checks`` are about; *url* is a template, see ``PluginInfo.testing_url``."""

    kind: str
    name: str
    url: str | None
    info: PluginInfo


class _CheckPlugin:
    """The pytest plugin of one check."""

    def __init__(self, checked: CheckedPlugin) -> None:
        self._checked = checked

    def pytest_configure(self, config: Any) -> None:
        import pytest  # umbel runs without pytest; here it is running

        pytest.register_assert_rewrite(*_REWRITTEN)
        config.umbel_checked = self._checked


def check(kind: str, name: str, url: str | None = None) -> int:
    """Run the conformance suite of *kind* against the installed plugin *name*; return pytest's exit code, 0 if it passed.

    *url* says where the plugin's live service is, whose data may be lost; ``{folder}`` in it becomes an empty folder,
    ``{unique}`` a fresh word. Without it the plugin's ``testing_url`` is used. Raises ``ImproperlyConfigured`` when
    neither is given and the kind needs one, or when the kind has no suite. Needs ``pip install 'umbel[testing]'``.
    """
    import pytest  # umbel runs without pytest

    from umbel.host import Host  # pytest imports this module at its start, in projects that have umbel installed

    if kind not in SUITES:
        raise ImproperlyConfigured(f"expected a kind that has a suite ({', '.join(SUITES)}), got {kind!r}")
    info = Host().load(kind, name).info
    template = url or info.testing_url
    if template is None and kind in {"transport", "backend"}:
        raise ImproperlyConfigured(
            f"expected the URL of a live service to check the {kind} {name!r}, got none: give one with --url, or "
            "testing_url in its plugin_info"
        )
    checked = CheckedPlugin(kind, name, template, info)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_checks")
    # Without the settings and the pytest plugins of the project that we happen to be started in.
    options = ["-c", os.devnull, "--rootdir", here, "-p", "no:cacheprovider", "--import-mode=importlib", "-q", "-rs"]
    options += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning", "--disable-plugin-autoload"]
    if importlib.util.find_spec("pytest_timeout") is not None:
        options += ["-p", "pytest_timeout", "--timeout", "120"]
    return int(pytest.main([*options, os.path.join(here, f"{kind}.py")], plugins=[_CheckPlugin(checked)]))
