"""Sections: the settings of plugins, each described by the plugin's own attrs class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.display import shown
from umbel.settings.kinds import Refused, kind_of
from umbel.settings.layers import Entry
from umbel.settings.sources import Text
from umbel.suggestions import suggest

if TYPE_CHECKING:
    import attrs

__all__ = ["SectionDirectory", "build_section", "check_sections", "is_section", "unknown_section"]


class SectionDirectory(Protocol):
    """What a configuration asks about plugins."""

    def section_names(self) -> Collection[str]:
        """The names of the installed plugins; cheap: imports none."""
        ...

    def section_classes(self, name: str) -> Sequence[type[Any]]:
        """The attrs classes of the plugins called *name*, of every kind; may import them."""
        ...


def is_section(name: str, plugins: Collection[str]) -> bool:
    """Say whether one of *plugins* may have the section *name*: its own name, or one that begins with it and ``_``.

    (A broker's transport and its result store may want a section each: ``redis`` and ``redis_results``.)
    """
    return name in plugins or any(name.startswith(f"{plugin}_") for plugin in plugins)


def unknown_section(name: str, place: object, known: Collection[str]) -> ImproperlyConfigured:
    """Return the error for a section that is none of the *known*, with the nearest."""
    return ImproperlyConfigured(
        f"unknown section {name!r}, in {place}: no installed plugin has this name{suggest(name, known)}"
    )


def build_section(
    name: str,
    settings: type[Any] | None,
    registered: Sequence[type[Any]],
    effective: Mapping[str, Entry],
    directory: SectionDirectory | None,
) -> Any:
    """Make the instance of *settings* from what was given for the section *name*; a mapping where there is no class."""
    if settings is None:
        registered = registered or (directory.section_classes(name) if directory is not None else ())
        if len(registered) > 1:
            classes = ", ".join(cls.__qualname__ for cls in registered)
            raise ImproperlyConfigured(
                f"several plugins share the section {name!r} ({classes}); ask with conf.section({name!r}, CLASS)"
            )
        settings = registered[0] if registered else None
    given = {key.removeprefix(f"{name}."): entry for key, entry in effective.items() if key.startswith(f"{name}.")}
    if settings is None:
        return MappingProxyType({key: entry.value for key, entry in given.items()})
    import attrs  # costs start-up time, and an application without plugin settings does not need it

    fields = {field.alias or field.name: field for field in attrs.fields(settings) if field.init}
    prefix = getattr(settings, "flat_prefix", None)
    if prefix:
        flat = {key.removeprefix(prefix): entry for key, entry in effective.items() if key.startswith(prefix)}
        given = {**{key: entry for key, entry in flat.items() if key in fields}, **given}
    for key in given.keys() - fields.keys():
        _refuse_unknown(name, key, given[key], [settings, *registered], directory)
    values = {key: _value(f"{name}.{key}", entry, fields[key]) for key, entry in given.items() if key in fields}
    try:
        return settings(**values)
    except (TypeError, ValueError) as error:
        raise _refused(name, settings, given, error) from error


def _value(name: str, entry: Entry, field: attrs.Attribute[Any]) -> Any:
    """Check a value against the type of its field; what has a converter is the converter's to judge."""
    kind = kind_of(field.type if field.type is not None else "Any")
    try:
        if isinstance(entry.value, Text):
            return kind.parse(entry.value.strip())
        return entry.value if field.converter is not None else kind.accept(entry.value)
    except Refused as refused:
        hint = f"; {refused}" if str(refused) else ""
        got = f"{shown(name, entry.value)} ({type(entry.value).__name__})"
        raise ImproperlyConfigured(f"{name}: expected {kind.expected}, got {got}, in {entry.origin}{hint}") from None


def _refuse_unknown(
    name: str, key: str, entry: Entry, registered: Sequence[type[Any]], directory: SectionDirectory | None
) -> None:
    """Raise unless another plugin of the section's name knows *key*."""
    import attrs  # as above

    classes = [*registered, *(directory.section_classes(name) if directory is not None else ())]
    known = {field.alias or field.name for cls in classes for field in attrs.fields(cls) if field.init}
    if key not in known:
        nearest = suggest(key, known) or f"; it has {', '.join(sorted(known)) or 'no settings'}"
        raise ImproperlyConfigured(f"unknown setting {key!r} of the plugin {name!r}, in {entry.origin}{nearest}")


def _refused(name: str, settings: type[Any], given: Mapping[str, Entry], error: Exception) -> ImproperlyConfigured:
    """Name the place of the one value that the class refuses, or all places when it cannot be told which."""
    for key, entry in given.items():
        try:
            settings(**{key: entry.value})
        except Exception:
            return ImproperlyConfigured(
                f"{name}.{key}: {error}; got {shown(f'{name}.{key}', entry.value)}, in {entry.origin}"
            )
    places = ", ".join(sorted({str(entry.origin) for entry in given.values()}))
    return ImproperlyConfigured(f"the settings of the plugin {name!r} are refused: {error}; they are from {places}")


def check_sections(
    effective: Mapping[str, Entry], directory: SectionDirectory, registered: Mapping[str, Sequence[type[Any]]]
) -> None:
    """Raise for a section that no installed plugin has, and for settings that a registered class refuses."""
    sections = {key.partition(".")[0]: entry for key, entry in effective.items() if "." in key}
    known = {*directory.section_names(), *registered}
    for name, entry in sections.items():
        if not is_section(name, known):
            raise unknown_section(name, entry.origin, known)
        for settings in registered.get(name, ()) or (directory.section_classes(name) if name in known else ()):
            build_section(name, settings, registered.get(name, ()), effective, directory)
