"""Tasks of a Django project."""

from __future__ import annotations

from umbel_extension_celery.django_task import DjangoTask

__all__ = [
    "DjangoTask",
]
