"""Times and zones."""

from __future__ import annotations

from umbel_extension_celery.times import *
