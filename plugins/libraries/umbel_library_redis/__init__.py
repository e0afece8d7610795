"""How Redis is reached and talked to: for the transport and the result backend."""

from __future__ import annotations

from umbel_library_redis import dialing, errors
from umbel_library_redis.wire import Wire

__all__ = ["Wire", "dialing", "errors"]
