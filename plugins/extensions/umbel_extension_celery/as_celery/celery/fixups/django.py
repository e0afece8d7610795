"""The adapter to Django."""

from __future__ import annotations

from umbel_extension_celery.fixups import DjangoFixup
from umbel_extension_celery.fixups import django_fixup as fixup

__all__ = [
    "DjangoFixup",
    "fixup",
]
