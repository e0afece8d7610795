"""The transport's tables.

A message is in exactly one of three tables, and moves between them by whole ranges: ``umbel_ready`` (its key is its
place in the queue, see :mod:`umbel_transport_sqlite.places`), ``umbel_delayed`` until it is due, ``umbel_claimed`` while
a consumer holds it. A body that would be slow to move stays in ``umbel_bodies``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMPONENT", "SCRIPTS"]

COMPONENT: Final = "transport"

_MESSAGE: Final = """
    count INTEGER NOT NULL DEFAULT 0,
    expires_at REAL,
    head BLOB,
    body BLOB,
    body_id INTEGER
"""

#: ``SCRIPTS[n]`` makes version n + 1 of version n. Never change one that was released: add another.
SCRIPTS: Final = (
    """
CREATE TABLE umbel_queues (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_declared INTEGER NOT NULL,
    auto_delete INTEGER NOT NULL DEFAULT 0,
    expires_s REAL,
    message_ttl_s REAL,
    max_length INTEGER,
    used_at REAL NOT NULL
);
CREATE TABLE umbel_bindings (
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    queue INTEGER NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (exchange, routing_key, queue)
) WITHOUT ROWID;
CREATE TABLE umbel_topology (version INTEGER NOT NULL);
INSERT INTO umbel_topology VALUES (1);
CREATE TABLE umbel_ready (id INTEGER PRIMARY KEY, MESSAGE);
CREATE TABLE umbel_delayed (id INTEGER PRIMARY KEY, region INTEGER NOT NULL, due REAL NOT NULL, MESSAGE);
CREATE INDEX umbel_delayed_due ON umbel_delayed (due);
CREATE INDEX umbel_delayed_region ON umbel_delayed (region);
CREATE TABLE umbel_claimed (id INTEGER PRIMARY KEY, token INTEGER NOT NULL, region INTEGER NOT NULL, MESSAGE);
CREATE TABLE umbel_bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE umbel_owners (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    bell TEXT NOT NULL,
    lease_until REAL NOT NULL
);
CREATE TABLE umbel_consumers (
    owner INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    PRIMARY KEY (owner, queue)
) WITHOUT ROWID;
""".replace("MESSAGE", _MESSAGE),
    """
CREATE TABLE umbel_revoked (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    header TEXT NOT NULL,
    value TEXT NOT NULL,
    until REAL NOT NULL
);
CREATE INDEX umbel_revoked_value ON umbel_revoked (value, header);
""",
)
