"""``umbel events``: the cluster live in the terminal, with workers, tasks, rates, run times and queues.

``picture`` works out what is to be seen, from events; ``feeds`` talks to the broker, in threads; ``screen`` shows it, with
Textual. Every worker loads its extensions, so nothing of this is imported before a monitor starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo

__all__ = ["plugin_info", "umbel_monitor"]

# Textual is no ``requires`` of this plugin: workers load it too, and they need none.
plugin_info = PluginInfo(
    kind="extension",
    names=("monitor",),
    summary="shows workers, tasks and queues live in the terminal, and acts on them",
    extra="monitor",
)


@hookimpl
def umbel_monitor(app: Any, options: Mapping[str, Any]) -> int:
    """Run the monitor until the user ends it."""
    from umbel_extension_monitor.starting import run  # for start-up, as said above

    return run(app, options)
