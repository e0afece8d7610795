"""Text."""

from __future__ import annotations

from umbel_extension_celery.texts import *
