"""What a bug report says of an installation."""

from __future__ import annotations

import platform
import sys
from typing import Any

from umbel import __version__

__all__ = ["appstr", "bugreport"]


def appstr(app: Any) -> str:
    """Return the application's name and id, for messages."""
    return f"{app.main or '__main__'} at {id(app):#x}"


def bugreport(app: Any = None) -> str:
    """Return software, platform and settings (secrets masked) of *app*, the current one for ``None``."""
    from umbel_extension_celery.current import app_or_default  # the application asks this module

    app = app_or_default(app)
    return (
        f"software -> umbel:{__version__} (as celery) py:{platform.python_version()}\n"
        f"platform -> system:{platform.system()} arch:{platform.machine()} imp:{sys.implementation.name}\n"
        f"loader   -> {type(app.loader).__module__}.{type(app.loader).__name__}\n"
        f"settings -> transport:{app.connections.broker_label} results:{app.backend.as_uri()}\n\n"
        f"{app.conf.humanize()}"
    )
