"""What a name in a configuration means: a setting, an old name of one, a plugin's, one that is gone, or nothing known."""

from __future__ import annotations

from typing import Final, NamedTuple

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.foreign import FOREIGN, FOREIGN_OLD
from umbel.settings.schema import GROUPS, OPTIONS
from umbel.suggestions import suggest

__all__ = ["OLD_NAMES", "REMOVED", "SHORT_NAMES", "Target", "looks_like_ours", "resolve", "unknown"]

#: Short names for files and the environment.
SHORT_NAMES: Final = {
    "backend": "result_backend",
    "broker": "broker_url",
    "pool": "worker_pool",
    "scheduler": "beat_scheduler",
}

#: Old upper-case name -> name; of the kernel and of known plugins.
OLD_NAMES: Final[dict[str, str]] = {
    **FOREIGN_OLD,
    **{old: name for name, row in OPTIONS.items() for old in row.old},
}

_MAIL: Final = "error mails are gone: use a logging handler or an error tracker"
_LEVEL: Final = "give the level to the program: --loglevel"
_MONITOR: Final = "the monitor it belonged to is gone"
_BROADCAST: Final = "the names of control queues are made from control_exchange"

#: Settings of old that mean nothing any more -> what to do instead.
REMOVED: Final[dict[str, str]] = {
    "CELERYD_MEDIATOR": "there is no mediator any more",
    "CELERY_BROADCAST_QUEUE": _BROADCAST,
    "CELERY_BROADCAST_EXCHANGE": _BROADCAST,
    "CELERY_BROADCAST_EXCHANGE_TYPE": _BROADCAST,
    "CELERY_SEND_TASK_ERROR_EMAILS": _MAIL,
    "CELERY_TASK_ERROR_WHITELIST": _MAIL,
    "CELERYD_LOG_LEVEL": _LEVEL,
    "CELERYBEAT_LOG_LEVEL": _LEVEL,
    "CELERYMON_LOG_LEVEL": _MONITOR,
    "CELERYMON_LOG_FILE": _MONITOR,
    "CELERYMON_LOG_FORMAT": _MONITOR,
    "CELERY_LOADER": "the application loads its configuration itself: app.config_from_object(...)",
    "BROKER_INSIST": "no broker asks for it any more",
    "TT_HOST": "Tokyo Tyrant is not supported: use another result store",
    "TT_PORT": "Tokyo Tyrant is not supported: use another result store",
}

#: Beginnings of upper-case names that were Celery's, so that what is unknown among them is a mistake.
_OLD_PREFIXES: Final = ("CELERY_", "CELERYD_", "CELERYBEAT_", "CELERYMON_", "BROKER_")


class Target(NamedTuple):
    """What a name means. *kind* is ``kernel``, ``foreign`` or ``removed``; *old* says that it is an old name."""

    kind: str
    name: str
    old: bool = False


def resolve(name: str) -> Target | None:
    """Return what *name* means, or ``None`` when it is not known."""
    if name in OPTIONS:
        return Target("kernel", name)
    name = SHORT_NAMES.get(name, name)
    old = name in OLD_NAMES
    name = OLD_NAMES.get(name, name)
    if name in OPTIONS:
        return Target("kernel", name, old)
    if name in FOREIGN:
        return Target("foreign", name, old)
    return Target("removed", name, old=True) if name in REMOVED else None


def looks_like_ours(name: str) -> bool:
    """Say whether an unknown *name* is likely a misspelt setting, and no variable of the user's own."""
    if name.isupper():
        return name.startswith(_OLD_PREFIXES)
    return name.split("_", maxsplit=1)[0] in GROUPS or bool(suggest(name, [*OPTIONS, *FOREIGN]))


def unknown(name: str, place: str) -> ImproperlyConfigured:
    """Return the error for an unknown *name*, with the nearest known one."""
    lowered = name.lower()
    for prefix in ("celery_", "umbel_"):
        rest = lowered.removeprefix(prefix)
        if name.isupper() and rest != lowered and rest in OPTIONS:
            namespace = prefix[:-1].upper()
            return ImproperlyConfigured(
                f"unknown setting {name!r}, in {place}; call it {rest!r}, or read it with"
                f" config_from_object(..., namespace={namespace!r})"
            )
    nearest = suggest(name, OLD_NAMES) if name.isupper() else ""
    nearest = nearest or suggest(lowered, [*OPTIONS, *FOREIGN, *SHORT_NAMES])
    return ImproperlyConfigured(f"unknown setting {name!r}, in {place}{nearest or '; see `umbel config --all`'}")
