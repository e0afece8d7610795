"""Functions on functions and lists."""

from __future__ import annotations

from umbel_extension_celery.functional import *
