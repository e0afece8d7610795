"""How messages stand in the columns of a store: for the transports over SQLite and PostgreSQL."""

from __future__ import annotations

from umbel_library_heads import heads

__all__ = ["heads"]
