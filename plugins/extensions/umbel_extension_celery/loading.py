"""Loaders: what a Celery project may subclass to bring configuration and modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from umbel.exceptions import ImproperlyConfigured
from umbel_extension_celery.symbols import symbol_by_name

__all__ = ["LOADERS", "AppLoader", "BaseLoader", "DefaultLoader", "find_loader"]


class BaseLoader:
    """What an application asks when it starts: modules to import, configuration, moments of the worker."""

    builtin_modules: ClassVar[frozenset[str]] = frozenset()
    override_backends: ClassVar[Mapping[str, Any]] = {}
    configured = False
    worker_initialized = False

    def __init__(self, app: Any, **_: Any) -> None:
        self.app = app
        self.task_modules: set[str] = set()

    @property
    def conf(self) -> Any:
        """The application's settings."""
        return self.app.conf

    def now(self, utc: bool = True) -> Any:
        """Return the time."""
        return self.app.now()

    def on_task_init(self, task_id: str, task: Any) -> None:
        """Called before a task runs; for subclasses."""

    def on_process_cleanup(self) -> None:
        """Called after a task; for subclasses."""

    def on_worker_init(self) -> None:
        """Called when a worker starts; for subclasses."""

    def on_worker_shutdown(self) -> None:
        """Called when a worker stops; for subclasses."""

    def on_worker_process_init(self) -> None:
        """Called when a pool process starts; for subclasses."""

    def import_task_module(self, module: str) -> Any:
        """Import a module of tasks."""
        self.task_modules.add(module)
        return self.import_from_cwd(module)

    def import_module(self, module: str, package: str | None = None) -> Any:
        """Import a module."""
        import importlib

        return importlib.import_module(module, package)

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> Any:
        """Import a module; the working directory is on the path."""
        import sys

        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return self.import_module(module, package)

    @property
    def default_modules(self) -> tuple[str, ...]:
        """The modules of ``imports`` and ``include``, and the loader's own."""
        return (*self.builtin_modules, *self.app.conf.imports, *self.app.conf.include)

    def import_default_modules(self) -> list[Any]:
        """Import :attr:`default_modules` and return them. An error of one gets out."""
        return [self.import_task_module(module) for module in self.default_modules]

    def init_worker(self) -> None:
        """Make ready for a worker, once."""
        if not self.worker_initialized:
            self.worker_initialized = True
            self.import_default_modules()
            self.on_worker_init()

    def shutdown_worker(self) -> None:
        """Say goodbye to a worker."""
        self.on_worker_shutdown()

    def init_worker_process(self) -> None:
        """Make ready for a pool process."""
        self.on_worker_process_init()

    def config_from_object(self, obj: Any, silent: bool = False) -> bool:
        """Take the settings of an object, or of the module that it names."""
        return bool(self.app.config_from_object(obj, silent=silent, force=True))

    def read_configuration(self, env: str = "CELERY_CONFIG_MODULE") -> Mapping[str, Any]:
        """Return settings of the loader's own; for subclasses."""
        return {}


class AppLoader(BaseLoader):
    """The loader of applications that configure themselves."""


class DefaultLoader(BaseLoader):
    """Reads the module ``celeryconfig``, or the one that ``CELERY_CONFIG_MODULE`` names, where there is one."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        app.config_from_object(os.environ.get("CELERY_CONFIG_MODULE") or "celeryconfig", silent=True)


LOADERS: Final = {"app": AppLoader, "default": DefaultLoader}


def find_loader(loader: Any) -> Any:
    """Return the class that *loader* is or names: ``app``, ``default``, or ``module:Class``."""
    found = LOADERS.get(loader, loader) if isinstance(loader, str) else loader
    found = symbol_by_name(found)
    if not isinstance(found, type):
        raise ImproperlyConfigured(f"expected a loader class, or 'app' or 'default', got {loader!r}")
    return found
