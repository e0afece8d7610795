"""What each setting of a project means on Umbel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from umbel.host import Host
from umbel.settings import FOREIGN, OLD_NAMES, OPTIONS, REMOVED, SAME, Option
from umbel.suggestions import suggest
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.given_settings import GivenSetting, find_given_settings
from umbel_extension_celery.migrating.pool_rules import judge_pool
from umbel_extension_celery.migrating.reading import Project
from umbel_extension_celery.migrating.url_rules import judge_backend, judge_broker

__all__ = ["judge_settings"]

_UNKNOWN: Final = object()
_BROKERS: Final = frozenset({"broker_url", "broker_read_url", "broker_write_url"})
#: Beginnings of names in upper case that were Celery's before version 4.
_OLD_PREFIXES: Final = ("CELERY_", "CELERYD_", "CELERYBEAT_", "BROKER_")


def judge_settings(project: Project, host: Host) -> Iterator[Finding]:
    """Yield a finding for each setting that *project* gives, and for the defaults that it has left alone."""
    seen: dict[str, GivenSetting] = {}
    for given in find_given_settings(project):
        name = _name_of(given)
        if name is None:
            yield from _unknown(given)
            continue
        seen.setdefault(name, given)
        yield from _known(name, given, host)
    yield from _defaults(seen)


def _name_of(given: GivenSetting) -> str | None:
    """Return the name of today that a setting is written under: with the project's prefix, or as before version 4."""
    name, prefix = given.name, f"{given.namespace}_"
    if given.namespace and name.startswith(prefix):
        rest = name.removeprefix(prefix).lower()
        if rest in OPTIONS or rest in FOREIGN:
            return rest
    if name in OPTIONS or name in FOREIGN or name in REMOVED:
        return name
    return OLD_NAMES.get(name)


def _unknown(given: GivenSetting) -> Iterator[Finding]:
    prefix = f"{given.namespace}_" if given.namespace else ""
    looks_so = given.name.startswith(prefix or _OLD_PREFIXES) if given.name.isupper() else given.is_certain
    if not looks_so or (prefix and not given.name.startswith(prefix)):
        return
    bare = given.name.removeprefix(prefix).lower()
    near = suggest(bare, [*OPTIONS, *FOREIGN])
    advice = f"kept in app.conf for the project's own use; it means nothing to Umbel{near}"
    yield _finding(Level.DIFFERS, given.name, advice, given)


def _finding(level: Level, what: str, advice: str, given: GivenSetting, area: str = "setting") -> Finding:
    return Finding(level, area, what, advice, given.file, given.line)


def _known(name: str, given: GivenSetting, host: Host) -> Iterator[Finding]:
    what = given.name if given.name == name else f"{given.name} is {name}"
    if name in REMOVED:
        yield _finding(Level.DIFFERS, what, f"no effect: {REMOVED[name]}", given)
        return
    if name in FOREIGN:
        yield _of_plugin(name, what, given, host)
        return
    option, value = OPTIONS[name], _literal(given.value)
    refusal = _refusal(option, value)
    if refusal:
        yield _finding(Level.CHANGE, what, refusal, given)
        return
    yield _of_kernel(option, what, given)
    if name in _BROKERS:
        yield from judge_broker(given, host)
    elif name == "result_backend":
        yield from judge_backend(given, host)
    elif name == "worker_pool" and isinstance(value, str):
        yield judge_pool(value, given.file, given.line, host)


def _of_kernel(option: Option, what: str, given: GivenSetting) -> Finding:
    if option.inert:
        return _finding(Level.DIFFERS, what, f"no effect: {option.inert}", given)
    if option.deprecated:
        return _finding(Level.DIFFERS, what, f"understood, and old: use {option.deprecated}", given)
    return _finding(Level.MAPS, what, "", given)


def _of_plugin(name: str, what: str, given: GivenSetting, host: Host) -> Finding:
    plugin = FOREIGN[name].plugin
    kinds = ("transport", "backend")
    if any(installed.name == plugin for kind in kinds for installed in host.installed(kind)):
        return _finding(Level.MAPS, what, f"a setting of the plugin {plugin!r}", given)
    return _finding(Level.DIFFERS, what, f"no effect: no installed plugin is called {plugin!r}", given)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN  # made at run time


def _refusal(option: Option, value: Any) -> str:
    """Return what is wrong with *value*, or nothing; what cannot be known before the project runs is not judged."""
    if value is _UNKNOWN or value is None:
        return ""
    try:
        option.accept(value)
    except ValueError as error:
        hint = f"; {error}" if str(error) else ""
        shown = "this value" if option.secret else repr(value)
        return f"expected {option.expected}, got {shown}{hint}"
    return ""


def _defaults(seen: dict[str, GivenSetting]) -> Iterator[Finding]:
    """Yield what changes with a move to Umbel's own names alone: under Celery's, Celery's defaults hold."""
    if not seen:
        return
    first = next(iter(seen.values()))
    for name, option in OPTIONS.items():
        if option.celery_default is SAME or option.inert or name in seen:
            continue
        if str(option.celery_default).startswith("celery."):
            continue  # the class of Celery's that Umbel's own part stands for
        advice = (
            f"{option.celery_default!r} under Celery's names, as now; {option.default!r} when the project is written for "
            "umbel.Umbel: set it where that matters"
        )
        yield _finding(Level.DIFFERS, f"{name} is left to its default", advice, first, "default")
