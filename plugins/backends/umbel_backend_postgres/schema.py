"""The store's tables, beside the transport's and known to nobody else."""

from __future__ import annotations

from typing import Final

from umbel.exceptions import BackendError
from umbel_library_postgres import Link, versions

__all__ = ["migrate"]

_COMPONENT: Final = "backend"

#: ``_SCRIPTS[n]`` makes version n + 1 of version n. Never change one that was released: add another.
_SCRIPTS: Final = (
    """
CREATE TABLE SCHEMA.results (
    task_id text PRIMARY KEY,
    state text NOT NULL,
    is_final boolean NOT NULL,
    attempt integer NOT NULL,
    expires_at timestamptz,
    content_type text NOT NULL,
    content_encoding text NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX results_expires ON SCHEMA.results (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE SCHEMA.groups (group_id text PRIMARY KEY, payload bytea NOT NULL, expires_at timestamptz);
CREATE TABLE SCHEMA.chords (
    group_id text PRIMARY KEY,
    size integer,
    arrived integer NOT NULL DEFAULT 0,
    body bytea NOT NULL,
    completed_by text,
    expires_at timestamptz
);
CREATE TABLE SCHEMA.chord_parts (
    group_id text NOT NULL,
    task_id text NOT NULL,
    entry bigint GENERATED ALWAYS AS IDENTITY,
    place integer,
    state text NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (group_id, task_id)
);
""",
)


def migrate(link: Link) -> None:
    """Make the tables, or bring them up to this version; one process does it while the others wait."""
    versions.migrate(link, _COMPONENT, _SCRIPTS, BackendError)
