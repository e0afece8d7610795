"""Tasks of a Django project: they can wait for the transaction that is open to be committed."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from django.db import transaction

from umbel_extension_celery.tasks import Task

__all__ = ["DjangoTask"]


class DjangoTask(Task):
    """A task that can be called once the caller's database transaction is committed."""

    abstract: ClassVar[bool] = True

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """Call ``delay`` when the open transaction is committed; at once without one. There is no result to return."""
        transaction.on_commit(functools.partial(self.delay, *args, **kwargs))

    def apply_async_on_commit(self, *args: Any, using: str | None = None, **kwargs: Any) -> None:
        """Call ``apply_async`` when the open transaction (of the database *using*) is committed."""
        transaction.on_commit(functools.partial(self.apply_async, *args, **kwargs), using=using)
