"""What comes before the first picture: is there Textual, is there a terminal?"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from umbel.exceptions import ImproperlyConfigured, UmbelError

__all__ = ["run"]

# Imports of ours stand inside functions: without Textual there is a message instead.


def run(app: Any, options: Mapping[str, Any]) -> int:
    """Show the monitor of *app* until the user ends it; return the program's exit code.

    *options*: ``enable`` (let workers tell of tasks), ``keep`` (tasks to remember), ``filter``, ``no_color``. Raises
    :class:`~umbel.exceptions.ImproperlyConfigured` without Textual, and :class:`~umbel.exceptions.UmbelError` where there
    is no terminal.
    """
    if importlib.util.find_spec("textual") is None:
        raise ImproperlyConfigured(
            "the monitor needs the module 'textual', which is not installed: pip install 'umbel[monitor]'; "
            "--dump shows events without it"
        )
    _check_terminal()
    if options.get("no_color"):
        os.environ["NO_COLOR"] = "1"  # Textual looks there
    from umbel_extension_monitor.feeds.site import Site
    from umbel_extension_monitor.picture.filtering import parse
    from umbel_extension_monitor.screen.monitor import MonitorApp

    text = options.get("filter") or ""
    try:
        parse(text)
    except ValueError as error:
        raise UmbelError(f"the filter {text!r}: {error}") from error
    monitor = MonitorApp(
        Site.of(app, options.get("keep") or 10_000), enables=bool(options.get("enable")), filter_text=text
    )
    monitor.run()
    return monitor.return_code or 0


def _check_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UmbelError("the monitor needs a terminal for input and output: for pipes and files use --dump")
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise UmbelError(
            f"the monitor needs a terminal that can move its cursor, got TERM={os.environ.get('TERM', '')!r}: use --dump"
        )
