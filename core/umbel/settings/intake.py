"""What a source gives becomes what a configuration holds: names resolved, values checked, warnings given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.display import shown
from umbel.settings.foreign import FOREIGN
from umbel.settings.kinds import Refused
from umbel.settings.layers import Entry, Layer, Origin
from umbel.settings.names import REMOVED, Target, looks_like_ours, resolve, unknown
from umbel.settings.notices import ForeignSettingWarning, UmbelDeprecationWarning, UnknownSettingWarning, warn
from umbel.settings.option import Option
from umbel.settings.schema import OPTIONS
from umbel.settings.sections import SectionDirectory, is_section, unknown_section
from umbel.settings.sources import Given, Text

__all__ = ["Accepted", "accept"]

#: Name, or ``section.key`` -> what a source gave.
Accepted = dict[str, Entry]


def accept(
    given: Sequence[Given],
    layer: Layer,
    directory: SectionDirectory | None,
    classes: Mapping[str, Sequence[type[Any]]],
    *,
    strict: bool = True,
) -> Accepted:
    """Return the entries of *given*. Raises for an unknown name, a wrong value, one setting given twice.

    Unless *strict*, an unknown name is kept as it is, with a warning.
    """
    accepted: Accepted = {}
    written: dict[str, Given] = {}
    for row in given:
        target = resolve(row.name) or _of_plugin(row.name, directory, classes)
        if target is None and not strict:
            if looks_like_ours(row.name):
                warn(f"{unknown(row.name, row.place)}; it is kept and means nothing to Umbel", UnknownSettingWarning)
            accepted[row.name] = Entry(row.value, Origin(layer, row.place))
            continue
        if target is None:
            section, dot, _ = row.name.partition(".")
            if dot and directory is not None:
                raise unknown_section(section, row.place, {*classes, *directory.section_names()})
            raise unknown(row.name, row.place)
        if target.kind == "removed":
            warn(f"{row.name}, in {row.place}, has no effect: {REMOVED[target.name]}", UmbelDeprecationWarning)
            continue
        value = _value(target, row)
        _refuse_contradiction(target.name, value, row, accepted, written)
        if strict or target.kind != "foreign":  # another program may well use what means nothing to Umbel
            _warn_about(target, row, directory, classes)
        accepted[target.name] = Entry(value, Origin(layer, row.place))
        written[target.name] = row
    return accepted


def _of_plugin(
    name: str, directory: SectionDirectory | None, classes: Mapping[str, Sequence[type[Any]]]
) -> Target | None:
    """Understand ``section.key``, and the flat names that a registered class asks for by ``flat_prefix``."""
    section, dot, key = name.partition(".")
    if dot and key and section:
        if directory is not None and not is_section(section, {*classes, *directory.section_names()}):
            return None
        return Target("section", name)
    for registered in classes.values():
        for settings in registered:
            prefix = getattr(settings, "flat_prefix", None)
            if prefix and name.startswith(prefix):
                return Target("foreign", name)
    return None


def _value(target: Target, row: Given) -> Any:
    if target.kind != "kernel":
        return row.value
    option = OPTIONS[target.name]
    try:
        return option.parse(row.value.strip()) if isinstance(row.value, Text) else option.accept(row.value)
    except Refused as refused:
        raise _wrong_value(row, option.expected, str(refused), option) from None


def _wrong_value(row: Given, expected: str, hint: str, option: Option | None = None) -> ImproperlyConfigured:
    """Return the error for a value that is not what was expected."""
    name = option.name if option is not None else row.name
    got = shown(name, row.value)
    kind = type(row.value).__name__
    text = f"{row.name}: expected {expected}, got {got} ({'text' if kind == 'Text' else kind}), in {row.place}"
    return ImproperlyConfigured(f"{text}; {hint}" if hint else text)


def _refuse_contradiction(name: str, value: Any, row: Given, accepted: Accepted, written: Mapping[str, Given]) -> None:
    earlier = written.get(name)
    if earlier is not None and earlier.name != row.name and accepted[name].value != value:
        raise ImproperlyConfigured(
            f"{earlier.name} and {row.name} are the same setting with two values ({earlier.place}; {row.place});"
            f" keep {name!r}"
        )


def _warn_about(
    target: Target,
    row: Given,
    directory: SectionDirectory | None,
    classes: Mapping[str, Sequence[type[Any]]],
) -> None:
    if target.old:
        warn(f"{row.name}, in {row.place}, is an old name: call it {target.name!r}", UmbelDeprecationWarning)
    if target.kind == "kernel" and (instead := OPTIONS[target.name].deprecated):
        text = instead if instead.startswith("write") else f"use {instead}"
        warn(f"{row.name}, in {row.place}, is deprecated: {text}", UmbelDeprecationWarning)
    if target.kind == "foreign" and target.name in FOREIGN:
        plugin = FOREIGN[target.name].plugin
        installed = plugin in classes or (directory is not None and plugin in directory.section_names())
        if not installed:
            warn(
                f"{row.name}, in {row.place}, belongs to the plugin {plugin!r}, which is not installed: it is kept and"
                " has no effect",
                ForeignSettingWarning,
            )
