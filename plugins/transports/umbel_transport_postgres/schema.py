"""The transport's tables, and how they come to be.

A message is in exactly one of three tables and moves between them: ``ready`` (its key is its place in the queue),
``delayed`` until it is due, ``claimed`` while a consumer holds it. So the hot path never looks through what is held or
not yet due, and no index carries a flag that changes.

``rank`` is twice (9 - priority), plus 1 for what was never handed out: what is given back goes first among its equals.
"""

from __future__ import annotations

from typing import Final

from umbel_library_postgres import Link, versions

__all__ = ["migrate"]

_COMPONENT: Final = "transport"

_MESSAGE: Final = """
    queue integer NOT NULL,
    rank smallint NOT NULL,
    place bigint NOT NULL,
    count integer NOT NULL DEFAULT 0,
    expires_at double precision,
    head bytea NOT NULL,
    body bytea NOT NULL
"""
#: Rows live for a moment, so what is dead is cleared away by number and not by share. Bodies are not packed again.
_SHORT_LIVED: Final = """
ALTER TABLE SCHEMA.{table} SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.5);
ALTER TABLE SCHEMA.{table} ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN head SET STORAGE EXTERNAL;
"""

#: ``_SCRIPTS[n]`` makes version n + 1 of version n. Never change one that was released: add another.
_SCRIPTS: Final = (
    """
CREATE TABLE SCHEMA.queues (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    is_declared boolean NOT NULL,
    auto_delete boolean NOT NULL DEFAULT false,
    expires_s double precision,
    message_ttl_s double precision,
    max_length bigint,
    used_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE SCHEMA.bindings (
    exchange text NOT NULL,
    routing_key text NOT NULL,
    queue integer NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (exchange, routing_key, queue)
);
CREATE INDEX bindings_queue ON SCHEMA.bindings (queue);
CREATE TABLE SCHEMA.topology (version bigint NOT NULL);
INSERT INTO SCHEMA.topology VALUES (1);
CREATE SEQUENCE SCHEMA.places;
CREATE SEQUENCE SCHEMA.claims;
CREATE TABLE SCHEMA.ready (MESSAGE, PRIMARY KEY (queue, rank, place));
CREATE INDEX ready_expires ON SCHEMA.ready (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE SCHEMA.delayed (due double precision NOT NULL, MESSAGE, PRIMARY KEY (due, place));
CREATE INDEX delayed_queue ON SCHEMA.delayed (queue);
CREATE TABLE SCHEMA.claimed (owner bigint NOT NULL, id bigint NOT NULL, MESSAGE, PRIMARY KEY (owner, id));
CREATE TABLE SCHEMA.owners (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    lease_until timestamptz NOT NULL
);
CREATE TABLE SCHEMA.consumers (owner bigint NOT NULL, queue integer NOT NULL, PRIMARY KEY (owner, queue));
CREATE INDEX consumers_queue ON SCHEMA.consumers (queue);
""".replace("MESSAGE", _MESSAGE)
    + "".join(_SHORT_LIVED.format(table=table) for table in ("ready", "delayed", "claimed")),
    """
CREATE TABLE SCHEMA.revoked (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    header text NOT NULL,
    value text NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX revoked_value ON SCHEMA.revoked (value, header);
""",
)


def migrate(link: Link) -> None:
    """Make the tables, or bring them up to this version; one process does it while the others wait."""
    versions.migrate(link, _COMPONENT, _SCRIPTS)
