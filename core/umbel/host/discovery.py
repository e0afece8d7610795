"""Which plugins are installed: read from the metadata of distributions, without importing any of them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence

import attrs

from umbel.exceptions import ImproperlyConfigured, PluginConflict, PluginNotFound
from umbel.model import KINDS
from umbel.suggestions import suggest

__all__ = ["Discovery", "InstalledPlugin"]


@attrs.frozen
class InstalledPlugin:
    """An entry point of one of the plugin groups, unloaded."""

    kind: str
    name: str
    module: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} (from {self.distribution} {self.version})"


class Discovery:
    """The installed plugins. The metadata is read once, at the first question; thread-safe."""

    def __init__(self) -> None:
        self._installed: dict[str, tuple[InstalledPlugin, ...]] | None = None

    def installed(self, kind: str) -> Sequence[InstalledPlugin]:
        """Return every installed plugin of *kind*, by name; one name may come from several distributions."""
        if kind not in KINDS:
            raise ImproperlyConfigured(f"expected a kind of plugin, got {kind!r}; the kinds are: {', '.join(KINDS)}")
        if self._installed is None:
            self._installed = _scan()
        return self._installed[kind]

    def find(self, kind: str, name: str) -> InstalledPlugin:
        """Return the plugin *name*, or ``name@distribution``, of *kind*; one called ``sqla+`` is any ``sqla+...``.

        Raises :class:`~umbel.exceptions.PluginNotFound` with the nearest installed name, and
        :class:`~umbel.exceptions.PluginConflict` when several distributions offer the name and none is chosen.
        """
        plain, _, distribution = name.partition("@")
        found = self._named(kind, plain)
        if distribution:
            wanted = _normalized(distribution)
            chosen = [plugin for plugin in found if _normalized(plugin.distribution) == wanted]
            if not chosen and found:
                raise PluginNotFound(
                    f"the distribution {distribution!r} offers no {kind} named {plain!r}; it is offered by: "
                    f"{', '.join(plugin.distribution for plugin in found)}"
                )
            found = chosen
        if not found:
            raise PluginNotFound(self._unknown(kind, plain))
        if len(found) > 1:
            offers = " and ".join(f"{plugin.distribution} {plugin.version}" for plugin in found)
            raise PluginConflict(
                f"{len(found)} distributions offer a {kind} named {plain!r}: {offers}; uninstall one, or choose with "
                f"{plain}@{found[0].distribution}"
            )
        return found[0]

    def _named(self, kind: str, name: str) -> list[InstalledPlugin]:
        """Return the plugins of this name; else those called ``sqla+``, which take any ``sqla+...``."""
        found = [plugin for plugin in self.installed(kind) if plugin.name == name]
        family, plus, _ = name.partition("+")
        if not found and plus:
            found = [plugin for plugin in self.installed(kind) if plugin.name == family + plus]
        return found

    def _unknown(self, kind: str, name: str) -> str:
        names = sorted({plugin.name for plugin in self.installed(kind)})
        return (
            f"no {kind} named {name!r} is installed{suggest(name, names)} (installed: {', '.join(names) or 'none'}; "
            f"another would be brought by a distribution named umbel-{kind}-{name or 'NAME'} or the like)"
        )


def _scan() -> dict[str, tuple[InstalledPlugin, ...]]:
    entry_points = importlib.metadata.entry_points()
    sources = _Sources()
    return {
        kind: tuple(sorted((_plugin(kind, point, sources) for point in entry_points.select(group=group)), key=_order))
        for kind, group in KINDS.items()
    }


class _Sources:
    """Names and versions of distributions. Each asking of importlib's own parses the whole metadata, readme and all."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[importlib.metadata.Distribution, tuple[str, str]]] = {}

    def describe(self, source: importlib.metadata.Distribution | None) -> tuple[str, str]:
        """Return name and version of *source*."""
        if source is None:
            return "unknown", "?"
        if id(source) not in self._known:  # kept together with it, so that the number stays its own
            metadata = source.metadata
            self._known[id(source)] = source, (metadata["Name"], metadata["Version"])
        return self._known[id(source)][1]


def _plugin(kind: str, point: importlib.metadata.EntryPoint, sources: _Sources) -> InstalledPlugin:
    distribution, version = sources.describe(point.dist)
    return InstalledPlugin(
        kind=kind,
        name=point.name,
        module=point.module,
        distribution=distribution,
        version=version,
        entry_point=point,
    )


def _order(plugin: InstalledPlugin) -> tuple[str, str]:
    return plugin.name, plugin.distribution


def _normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
