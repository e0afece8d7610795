"""The order of sources: which of two values for one setting holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple

from umbel.settings.display import masked
from umbel.settings.display import shown as shown_text
from umbel.settings.foreign import FOREIGN
from umbel.settings.names import OLD_NAMES, resolve, unknown
from umbel.settings.notices import UmbelDeprecationWarning, warn
from umbel.settings.schema import OPTIONS, Settings

__all__ = ["Entry", "Layer", "LayeredSettings", "Origin"]


class Layer(IntEnum):
    """The kinds of source, the weakest first. Within a layer what came last holds."""

    DEFAULT = 0
    GIVEN_DEFAULT = 1
    FILE = 2
    OBJECT = 3
    APPLICATION = 4
    ENVIRONMENT = 5
    ASSIGNED = 6


class Origin(NamedTuple):
    """Where a value comes from: its layer, and the file and line, variable or module."""

    layer: Layer
    place: str

    def __str__(self) -> str:
        return self.place


class Entry(NamedTuple):
    """A value that a source gave."""

    value: Any
    origin: Origin


_DEFAULT: Final = Origin(Layer.DEFAULT, "default")
_set_slot: Final = object.__setattr__


class _ByName:
    """Lets a plugin's setting, or an old name, be read as an attribute.

    A descriptor for each, since a ``__getattr__`` would double the time that reading any setting takes.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, settings: LayeredSettings | None, owner: type[Any]) -> Any:
        if settings is None:
            return self
        if self._name in OLD_NAMES:
            text = f"app.conf.{self._name} is an old name: call it {OLD_NAMES[self._name]!r}"
            warn(text, UmbelDeprecationWarning)
        return settings[self._name]


class LayeredSettings(Settings):
    """Settings that remember what each source gave; the reading side of a configuration.

    The slots hold what holds now. The layers hold everything that was given, by name or ``section.key``.
    """

    __slots__ = ("_layers",)

    _layers: tuple[dict[str, Entry], ...]

    def __init__(self) -> None:
        _set_slot(self, "_layers", tuple({} for _ in Layer))
        for name, row in OPTIONS.items():
            _set_slot(self, name, row.fresh_default())

    def __dir__(self) -> list[str]:
        """The attributes, without the old names."""
        return [name for name in super().__dir__() if name not in OLD_NAMES]

    def __getitem__(self, name: str) -> Any:
        """Return a setting by its name (an old one too), a plugin's setting as ``section.key``."""
        if name in OPTIONS:
            return getattr(self, name)
        target = resolve(name)
        if target is not None and target.kind == "kernel":
            return getattr(self, target.name)
        entry = self._entry(target.name if target is not None else name)
        if entry is not None:
            return entry.value
        if target is not None and target.kind == "foreign":
            return None
        raise KeyError(str(unknown(name, "app.conf[...]")))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the setting *name*, or *default* where there is none of this name."""
        return self[name] if name in self else default  # noqa: SIM401 - this is the method it proposes

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (resolve(name) is not None or self._entry(name) is not None)

    def __iter__(self) -> Iterator[str]:
        """The names: those of the kernel, then those of plugins that were given."""
        yield from OPTIONS
        yield from self._extra_names()

    def __len__(self) -> int:
        return len(OPTIONS) + len(self._extra_names())

    def keys(self) -> list[str]:
        """The names, as a list."""
        return list(self)

    def values(self) -> list[Any]:
        """The values, in the order of the names."""
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Any]]:
        """The names and values."""
        return [(name, self[name]) for name in self]

    def origin(self, name: str) -> Origin:
        """Say where the value of *name* comes from; ``str()`` of it is for people."""
        target = resolve(name)
        entry = self._entry(target.name if target is not None else name)
        if entry is None and target is None:
            raise unknown(name, "app.conf.origin(...)")
        return _DEFAULT if entry is None else entry.origin

    def changes(self) -> dict[str, Any]:
        """Return what was set by any source, by name, plugins' settings as ``section.key``."""
        return {name: self[name] for name in self if self._entry(name) is not None}

    def table(self, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
        """Return the settings, or only those that were set, with secrets masked unless *censored* is false."""
        values = dict(self.items()) if with_defaults else self.changes()
        return {name: masked(name, value) if censored else value for name, value in values.items()}

    def shown(self, name: str) -> Any:
        """Return the value of *name* for people: secrets masked."""
        return masked(name, self[name])

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """Return :meth:`table` as lines ``name: value``."""
        return "\n".join(f"{name}: {value!r}" for name, value in self.table(with_defaults, censored).items())

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={shown_text(name, value)}" for name, value in self.changes().items())
        return f"<Configuration {inner}>" if inner else "<Configuration: defaults>"

    def _entry(self, key: str) -> Entry | None:
        for layer in self._layers[::-1]:
            entry = layer.get(key)
            if entry is not None:
                return entry
        return None

    def _extra_names(self) -> list[str]:
        return sorted({key for layer in self._layers for key in layer if key not in OPTIONS})

    def _effective(self) -> dict[str, Entry]:
        effective: dict[str, Entry] = {}
        for layer in self._layers:
            effective.update(layer)
        return effective

    def _settle(self, keys: Iterable[str]) -> None:
        """Put the values that now hold into the slots."""
        for key in keys:
            row = OPTIONS.get(key)
            if row is not None:
                entry = self._entry(key)
                _set_slot(self, key, row.fresh_default() if entry is None else entry.value)


for _name in (*FOREIGN, *OLD_NAMES):
    setattr(LayeredSettings, _name, _ByName(_name))
