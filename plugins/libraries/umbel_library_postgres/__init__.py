"""What transport and result backend over PostgreSQL share: the address, the connection, and versions of tables.

Both open one transaction together, in one schema: two copies that drift apart would be a fault.
"""

from __future__ import annotations

from umbel_library_postgres.address import Address
from umbel_library_postgres.link import Connection, Link, TooLateError, connect, explain
from umbel_library_postgres.versions import migrate

__all__ = ["Address", "Connection", "Link", "TooLateError", "connect", "explain", "migrate"]
