"""What a project installs: Celery with its extras, and packages that stand on Celery."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from umbel.host import Host
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.reading import Source

__all__ = ["TESTED_PACKAGES", "find_requirements"]

#: Packages that Umbel's own tests run, unmodified.
TESTED_PACKAGES: Final = (
    "django-celery-results",
    "flower",
    "opentelemetry-instrumentation-celery",
    "sentry-sdk",
)
_REQUIREMENT: Final = re.compile(
    r"""(?P<start>^\s*-?\s*|[\"'])(?P<name>[A-Za-z][\w.-]*)(?:\[(?P<extras>[^\]]*)\])?\s*(?=[=<>!~;@,\"'\s#]|$)"""
)
#: Celery's extras -> the name of an Umbel plugin, where the two words differ.
_EXTRAS: Final = {"librabbitmq": "amqp", "auth": "auth", "sqlalchemy": "postgresql"}
_OF_NO_USE: Final = frozenset({"eventlet", "gevent"})
#: What is a part of every installation.
_BUILT_IN: Final = frozenset({"amqp", "pytest", "tblib", "yaml", "msgpack", "zstd", "brotli", "django"})


def find_requirements(source: Source, host: Host) -> Iterator[Finding]:
    """Yield a finding for Celery, each of its extras, and each package that has to do with it."""
    for line, text in enumerate(source.text.splitlines(), 1):
        if text.lstrip().startswith(("#", "[")):
            continue
        for found in _REQUIREMENT.finditer(text):
            yield from _requirement(found.groupdict(), source.name, line, host)


def _requirement(found: Mapping[str, str | None], file: str, line: int, host: Host) -> Iterator[Finding]:
    name = (found["name"] or "").lower().replace("_", "-")
    extras = [extra.strip() for extra in (found["extras"] or "").split(",") if extra.strip()]
    if name == "celery":
        advice = "add umbel beside it, or put umbel there instead: packages that require celery keep it installed"
        yield Finding(Level.MAPS, "requirement", "celery", advice, file, line)
        for extra in extras:
            yield _extra(extra, file, line, host)
    elif name in TESTED_PACKAGES:
        yield Finding(Level.MAPS, "requirement", name, "runs unmodified: Umbel's tests run it", file, line)
    elif name in _OF_NO_USE:
        yield Finding(Level.DIFFERS, "requirement", name, "Umbel has no pool of green threads", file, line)
    elif "celery" in name:
        advice = "not among the packages that Umbel's tests run: try it, or ask its authors"
        yield Finding(Level.DIFFERS, "requirement", name, advice, file, line)


def _extra(extra: str, file: str, line: int, host: Host) -> Finding:
    known = {plugin.name for kind in ("transport", "backend", "serializer") for plugin in host.installed(kind)}
    what = f"celery[{extra}]"
    target = _EXTRAS.get(extra, extra)
    if extra in _OF_NO_USE:
        return Finding(Level.CHANGE, "requirement", what, "Umbel has no pool of green threads", file, line)
    if target in known or target in _BUILT_IN:
        return Finding(Level.MAPS, "requirement", what, f"see 'umbel plugins show {target}'", file, line)
    return Finding(Level.DIFFERS, "requirement", what, "no plugin of this name is installed with Umbel", file, line)
