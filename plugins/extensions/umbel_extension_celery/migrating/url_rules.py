"""Which plugin, and which extra to install, the URL of a broker or of a result store asks for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from umbel.exceptions import UmbelError
from umbel.host import Host
from umbel_extension_celery.hosting import SAME_BACKENDS
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.given_settings import GivenSetting

__all__ = ["judge_backend", "judge_broker"]

#: Result stores that third parties bring by the entry points ``celery.result_backends``.
_OF_PACKAGES: Final = {"django-db": "django-celery-results", "django-cache": "django-celery-results"}


def judge_broker(given: GivenSetting, host: Host) -> Iterator[Finding]:
    """Yield which transport each URL of the setting needs."""
    for scheme in _schemes(given.value):
        yield _judge(scheme, "transport", given, host)


def judge_backend(given: GivenSetting, host: Host) -> Iterator[Finding]:
    """Yield which result store each URL of the setting needs."""
    for scheme in _schemes(given.value):
        if scheme in _OF_PACKAGES:
            advice = f"the class of {_OF_PACKAGES[scheme]} runs unchanged, through an adapter"
            yield Finding(Level.MAPS, "backend", scheme, advice, given.file, given.line)
        elif "." in scheme or ":" in scheme:
            advice = "a class of the project's own runs through an adapter"
            yield Finding(Level.MAPS, "backend", scheme, advice, given.file, given.line)
        else:
            yield _judge(scheme, "backend", given, host)


def _judge(scheme: str, kind: str, given: GivenSetting, host: Host) -> Finding:
    area = "broker" if kind == "transport" else "backend"
    if not scheme:
        advice = "made at run time: compare its scheme with 'umbel plugins list'"
        return Finding(Level.DIFFERS, area, "the URL is not written here", advice, given.file, given.line)
    target = SAME_BACKENDS.get(scheme, scheme) if kind == "backend" else scheme
    known = sorted({plugin.name for plugin in host.installed(kind)})
    if target not in known:
        advice = f"no {kind} plugin is called {target!r}; installed: {', '.join(known)}"
        return Finding(Level.CHANGE, area, f"{scheme}://", advice, given.file, given.line)
    what = f"{scheme}:// is the plugin {target}"
    try:
        extra = host.load(kind, target).info.extra
    except UmbelError as error:  # its driver is not installed here; the error names the cure
        return Finding(Level.DIFFERS, area, what, str(error), given.file, given.line)
    advice = f"pip install 'umbel[{extra}]'" if extra else ""
    return Finding(Level.MAPS, area, what, advice, given.file, given.line)


def _schemes(node: ast.expr) -> list[str]:
    """Return the schemes of the URLs that are written in *node*, in order; ``""`` for one that is not."""
    if isinstance(node, ast.List | ast.Tuple):
        return [scheme for item in node.elts for scheme in _schemes(item)]
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, str) or not node.value:
            return []  # None: there is none
        return [_scheme(url) for url in node.value.split(";")]
    # f"redis://{HOST}/0", "redis://" + HOST, os.environ.get("BROKER", "redis://localhost"): what is written of it.
    written = [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and "://" in part.value
    ]
    return [_scheme(url) for url in written] or [""]


def _scheme(url: str) -> str:
    return url.strip().partition("://")[0]
