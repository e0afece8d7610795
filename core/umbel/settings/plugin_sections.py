"""What the host knows of plugins, as the configuration asks for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

__all__ = ["PluginSections"]


class _Host(Protocol):
    """The part of :class:`umbel.host.Host` that is needed here."""

    def installed(self, kind: str) -> Sequence[Any]: ...

    def load(self, kind: str, name: str) -> Any: ...


class PluginSections:
    """The sections of the installed plugins: ``app.conf.use_plugins(PluginSections(app.host))``. Imports none unasked."""

    def __init__(self, host: _Host) -> None:
        self._host = host

    def section_names(self) -> Collection[str]:
        """The names of every installed plugin."""
        from umbel.model import KINDS  # costs start-up time, and only sections need it

        return {plugin.name for kind in KINDS for plugin in self._host.installed(kind)}

    def section_classes(self, name: str) -> Sequence[type[Any]]:
        """The settings classes of the plugins called *name*, which are imported for it."""
        from umbel.model import KINDS  # as above

        classes: list[type[Any]] = []
        for kind in KINDS:
            if any(plugin.name == name for plugin in self._host.installed(kind)):
                settings = self._host.load(kind, name).info.settings
                if settings is not None and settings not in classes:
                    classes.append(settings)
        return classes
