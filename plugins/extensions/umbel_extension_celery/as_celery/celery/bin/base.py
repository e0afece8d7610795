"""What commands of one's own are made of."""

from __future__ import annotations

from umbel_extension_celery.command_types import *
