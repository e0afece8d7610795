"""What a plugin says of itself."""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["API_VERSION", "KINDS", "PluginInfo"]

#: The version of the contracts in ``umbel.spi``. A plugin names the range that it was written for.
API_VERSION: Final = 1

#: Kind -> entry-point group.
KINDS: Final[dict[str, str]] = {
    "transport": "umbel.transports",
    "backend": "umbel.backends",
    "pool": "umbel.pools",
    "serializer": "umbel.serializers",
    "router": "umbel.routers",
    "scheduler": "umbel.schedulers",
    "extension": "umbel.extensions",
}


@attrs.frozen(kw_only=True)
class PluginInfo:
    """The ``plugin_info`` of a plugin's module.

    *kind* is a key of :data:`KINDS`; *names* the entry-point names it answers to; *summary* one line for
    ``umbel plugins list``; *requires* the import names of its drivers, and *extra* the extra that installs them;
    *capabilities* the frozen capabilities class of its kind; *settings* an attrs class of its own settings, the
    section being the plugin's name. *testing_url* makes the URL of a fresh store for the conformance suite of
    transports and backends: ``{folder}`` in it becomes an empty folder, ``{unique}`` a fresh word.
    """

    kind: str
    names: tuple[str, ...]
    summary: str
    api_min: int = 1
    api_max: int = 1
    requires: tuple[str, ...] = ()
    extra: str | None = None
    capabilities: Any = None
    settings: type[Any] | None = None
    testing_url: str | None = None
