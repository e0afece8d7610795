"""The plugins of a Celery application, and the classes of Celery's kinds that its configuration may name instead."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Final

from umbel.exceptions import PluginNotFound
from umbel.host import Host
from umbel.spi import Pool, PoolCapabilities, PoolOptions, ResultBackend, Scheduler
from umbel_extension_celery.backends.foreign import ForeignBackend
from umbel_extension_celery.symbols import symbol_by_name

__all__ = ["SAME_BACKENDS", "SAME_POOLS", "CeleryHost"]

#: URL schemes of Celery's result backends -> Umbel's, where one does the same work.
SAME_BACKENDS: Final = {
    "cache+memory": "memory",
    "db+sqlite": "sqlite",
    "db+postgresql": "postgresql",
    "db+postgres": "postgresql",
    "db+postgresql+psycopg2": "postgresql",
    "db+postgresql+psycopg": "postgresql",
    "amqp": "rpc",
}
#: Celery's names of pools -> Umbel's.
SAME_POOLS: Final = {
    "celery.concurrency.prefork:TaskPool": "prefork",
    "celery.concurrency.thread:TaskPool": "threads",
    "celery.concurrency.solo:TaskPool": "solo",
}
#: Celery's own schedulers -> the class of this extension that stands for them.
_OUR_SCHEDULERS: Final = {
    "celery.beat:PersistentScheduler": "PersistentScheduler",
    "celery.beat.PersistentScheduler": "PersistentScheduler",
    "celery.beat:Scheduler": "Scheduler",
    "celery.beat.Scheduler": "Scheduler",
}


class CeleryHost(Host):
    """Finds Umbel's plugins first; then Celery's entry points and class names, which it adapts."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    # -- result backends ----------------------------------------------------------------------------------------------

    def backend(self, app: Any, url: str) -> ResultBackend:
        """Return the backend of *url*: a plugin's, or the class that Celery would find, adapted."""
        scheme, separator, rest = url.partition("://")
        if scheme in SAME_BACKENDS:
            return super().backend(app, f"{SAME_BACKENDS[scheme]}://{rest}")
        cls = getattr(app, "_backend_class", None) or self._class_of(scheme.partition("+")[0])
        if cls is None:
            return super().backend(app, url)
        return ForeignBackend(app, cls(app=app, url=url if separator and rest else None), self._companion(app))

    def _class_of(self, scheme: str) -> Any:
        """Return the backend class that *scheme* names in Celery's ways, or ``None`` where a plugin has it."""
        overrides: Mapping[str, Any] = {
            **self._app.loader.override_backends,
            **(self._app.conf.get("override_backends") or {}),
        }
        if scheme in overrides:
            return symbol_by_name(overrides[scheme])
        if ":" in scheme or "." in scheme:
            return symbol_by_name(scheme)
        if any(plugin.name == scheme for plugin in self.installed("backend")):
            return None
        for point in importlib.metadata.entry_points(group="celery.result_backends"):
            if point.name == scheme:
                return symbol_by_name(point.value)
        return None

    def _companion(self, app: Any) -> ResultBackend | None:
        """Return the store beside the broker, which counts the members of chords."""
        try:
            found = super().backend(app, app.broker_url)
        except PluginNotFound:
            return None
        return found if found.capabilities.stores and not found.capabilities.reads_once else None

    # -- pools --------------------------------------------------------------------------------------------------------

    def pool(self, app: Any, name: str, options: PoolOptions) -> Pool:
        """Return the pool *name*: a plugin's, or a class with Celery's methods, adapted."""
        cls = _pool_class(name)
        if cls is None:
            return super().pool(app, SAME_POOLS.get(name, name), options)
        from umbel_extension_celery.pools import ForeignPool  # only workers have pools

        return ForeignPool(app, cls, options)

    def pool_capabilities(self, name: str) -> PoolCapabilities:
        """Return what the pool *name* can do."""
        if _pool_class(name) is None:
            return super().pool_capabilities(SAME_POOLS.get(name, name))
        from umbel_extension_celery.pools import ForeignPool  # only workers have pools

        return ForeignPool.capabilities

    # -- schedulers ---------------------------------------------------------------------------------------------------

    def scheduler(self, app: Any, name: str, options: Mapping[str, Any]) -> Scheduler:
        """Return the scheduler *name*: a plugin's, or the class that Celery would find, adapted."""
        target: str | None = name
        if name not in _OUR_SCHEDULERS and ":" not in name and "." not in name:
            target = None
            if all(plugin.name != name for plugin in self.installed("scheduler")):
                points = importlib.metadata.entry_points(group="celery.beat_schedulers")
                target = next((point.value for point in points if point.name == name), None)
        if target is None:
            return super().scheduler(app, name, options)
        from umbel_extension_celery import beat_classes  # only beat has schedulers

        ours = _OUR_SCHEDULERS.get(target)
        cls = symbol_by_name(target) if ours is None else getattr(beat_classes, ours)
        return beat_classes.ForeignScheduler(cls(app=app, **options))


def _pool_class(name: str) -> Any:
    return symbol_by_name(name) if (":" in name or "." in name) and name not in SAME_POOLS else None
