"""Django: its applications' task modules, and its connections, which no call may leave open for the next."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

from umbel import signals
from umbel_extension_celery.symbols import symbol_by_name

__all__ = ["BUILTIN_FIXUPS", "DjangoFixup", "django_fixup", "find_fixups"]


class DjangoFixup:
    """Adapts an application to the Django project that ``DJANGO_SETTINGS_MODULE`` names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def install(self) -> DjangoFixup:
        """Make the project importable, and watch over its connections in workers."""
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        self.app.loader.now = self.now
        if self.app.Task.__name__ == "Task" and self.app.Task.__module__.startswith("umbel"):
            from umbel_extension_celery.django_task import DjangoTask  # imports Django, which is there

            self.app.Task = DjangoTask
        signals.import_modules.connect(self.on_import_modules, sender=self.app, weak=False)
        signals.worker_init.connect(self.on_worker_init, weak=False)
        return self

    def now(self, utc: bool = False) -> Any:
        """Return Django's time."""
        from django.utils import timezone

        return timezone.now()

    def autodiscover_tasks(self) -> Sequence[str]:
        """Return the names of the installed applications."""
        from django.apps import apps

        return [config.name for config in apps.get_app_configs()]

    def on_import_modules(self, **_: Any) -> None:
        """Set Django up, and have it check itself as ``manage.py`` does."""
        import django

        django.setup()
        if os.environ.get("CELERY_SKIP_CHECKS", "").lower() not in ("1", "true", "yes"):
            from django.core.checks import run_checks

            run_checks()

    def on_worker_init(self, sender: Any = None, **_: Any) -> None:
        """Close connections around tasks and in new processes of a worker of this application."""
        if getattr(sender, "app", None) is not self.app:
            return
        self.close_database()
        self.close_cache()
        signals.worker_process_init.connect(self.on_worker_process_init, weak=False)
        signals.task_prerun.connect(self.on_task_prerun, weak=False)
        signals.task_postrun.connect(self.on_task_postrun, weak=False)

    def on_worker_process_init(self, **_: Any) -> None:
        """Let go, unclosed, of what the parent process had open."""
        from django.db import connections

        for connection in connections.all():
            # The socket belongs to the parent too: closing the database's session here would end the parent's.
            connection.inc_thread_sharing()
            connection.connection = None
        self.close_cache()

    def on_task_prerun(self, sender: Any = None, **_: Any) -> None:
        """Begin with a connection that works."""
        if sender is None or not getattr(sender.request, "is_eager", False):
            self.close_database()

    def on_task_postrun(self, sender: Any = None, **_: Any) -> None:
        """Leave no connection that is over its age, nor one in the middle of a transaction."""
        if sender is None or not getattr(sender.request, "is_eager", False):
            self.close_database()
            self.close_cache()

    def close_database(self) -> None:
        """Close the connections that are unusable or too old (``CONN_MAX_AGE``)."""
        from django.db import close_old_connections

        close_old_connections()

    def close_cache(self) -> None:
        """Close the caches' connections."""
        from django.core.cache import close_caches

        close_caches()


def django_fixup(app: Any, env: str = "DJANGO_SETTINGS_MODULE") -> DjangoFixup | None:
    """Return an installed fixup where the environment names a Django project, and Django is there."""
    if not os.environ.get(env) or os.environ.get("CELERY_LOADER", "app").startswith("django"):
        return None
    try:
        import django  # noqa: F401 - is it there?
    except ImportError:
        warnings.warn(f"{env} is set and Django is not installed: pip install django", stacklevel=3)
        return None
    return DjangoFixup(app).install()


#: Celery's names of the fixups that an application has unless it names others.
BUILTIN_FIXUPS: Final = ("celery.fixups.django:fixup",)


def find_fixups(app: Any, names: Iterable[Any] | None) -> list[Any]:
    """Return the fixups of *names* (Celery's own for ``None``) that have something to do."""
    found = [django_fixup(app)] if names is None else [symbol_by_name(name)(app) for name in names]
    return [fixup for fixup in found if fixup is not None]
