"""Finds serializers and compressors among the plugins, importing as few of them as will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from umbel.exceptions import PluginError, PluginNotFound
from umbel.host.discovery import Discovery, InstalledPlugin
from umbel.host.loading import LoadedPlugin, Loader
from umbel.spi import Compressor, Serializer
from umbel.suggestions import suggest

__all__ = ["SerializerShelf"]


class SerializerShelf:
    """The serializers and compressors of a host, by name and by content type. Thread-safe."""

    def __init__(self, discovery: Discovery, loader: Loader) -> None:
        self._discovery = discovery
        self._loader = loader
        self._serializers: dict[str, Serializer] = {}
        self._by_type: dict[str, Serializer] = {}
        self._compressors: dict[str, Compressor] = {}
        self._unpacked: set[str] = set()
        self._broken: dict[str, PluginError] = {}

    def serializer(self, name: str) -> Serializer:
        """Return the serializer *name*; the plugin of that entry-point name is the first to be asked."""
        plain = name.partition("@")[0]
        if plain not in self._serializers:
            self._unpack(self._discovery.find("serializer", name))
        if plain not in self._serializers:
            raise PluginError(f"{self._discovery.find('serializer', name)} brings no serializer named {plain!r}")
        return self._serializers[plain]

    def serializer_for(self, content_type: str) -> Serializer | None:
        """Return the serializer of *content_type*: a loaded one, else the first of the others that has it."""
        for _ in self._until_all_loaded(content_type):
            if content_type in self._by_type:
                return self._by_type[content_type]
        return None

    def compressor(self, name: str) -> Compressor:
        """Return the compressor of this name, alias or content type.

        Raises :class:`~umbel.exceptions.PluginNotFound` with the nearest known name, or why its plugin cannot be loaded.
        """
        for _ in self._until_all_loaded(name):
            if name in self._compressors:
                return self._compressors[name]
        known = sorted({compressor.name for compressor in self._compressors.values()})
        hint = suggest(name, self._compressors)
        broken = "".join(f"; {error}" for error in self._broken.values())
        raise PluginNotFound(f"no compressor named {name!r}{hint} (known: {', '.join(known) or 'none'}{broken})")

    def _until_all_loaded(self, wanted: str) -> Iterator[None]:
        """Yield before the first load and after each further one, the likeliest plugins first."""
        yield
        rest = [plugin for plugin in self._discovery.installed("serializer") if plugin.module not in self._unpacked]
        for plugin in sorted(rest, key=lambda plugin: (plugin.name not in wanted, plugin.name)):
            try:
                self._unpack(plugin)
            except PluginError as error:  # another plugin's missing driver is no fault of this lookup
                self._broken[plugin.module] = error
                self._unpacked.add(plugin.module)
            yield

    def _unpack(self, installed: InstalledPlugin) -> None:
        plugin = self._loader.load(installed)
        for serializer in self._answers(plugin, "umbel_serializers", Serializer):
            self._serializers.setdefault(serializer.name, serializer)
            self._by_type.setdefault(serializer.content_type, serializer)
        for compressor in self._answers(plugin, "umbel_compressors", Compressor):
            for key in (compressor.name, *compressor.aliases, compressor.content_type):
                self._compressors.setdefault(key, compressor)
        self._unpacked.add(installed.module)

    def _answers(self, plugin: LoadedPlugin, hook: str, expected: type[Any]) -> Sequence[Any]:
        answers = [answer for one in self._loader.call(plugin, hook) for answer in one]
        for answer in answers:
            if not isinstance(answer, expected):
                raise PluginError(
                    f"{plugin}: expected {hook} to return {expected.__name__}s, got {answer!r} among them"
                )
        return answers
