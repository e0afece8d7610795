"""The store's tables, beside the transport's and known to nobody else."""

from __future__ import annotations

from typing import Final

from umbel.exceptions import BackendError
from umbel_backend_postgres.link import Link

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
#: Asked of the catalogue itself: what ``to_regclass`` has not found once it does not find after a wait for a lock either.
_FIND: Final = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'SCHEMA' AND c.relname = 'versions'),
    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'SCHEMA')
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('umbel schema SCHEMA', 0))::text"
_VERSION: Final = "SELECT version FROM SCHEMA.versions WHERE component = %s"
_NOTE: Final = (
    "INSERT INTO SCHEMA.versions VALUES (%s, %s) ON CONFLICT (component) DO UPDATE SET version = excluded.version"
)


def migrate(link: Link) -> None:
    """Make the tables, or bring them up to this version; one process does it while the others wait."""
    if _version(link) == len(_SCRIPTS):
        return
    with link.transaction():
        link.rows(_LOCK)
        _, has_schema = link.rows(_FIND)[0]
        if not has_schema:
            link.script("CREATE schema SCHEMA")
        version = _version(link)
        if version > len(_SCRIPTS):
            raise BackendError(
                f"expected the tables in schema {link.schema!r} to be of version {len(_SCRIPTS)} or older, got "
                f"{version}: a newer Umbel has made them; start that one, or use another schema"
            )
        link.script("CREATE TABLE IF NOT EXISTS SCHEMA.versions (component text PRIMARY KEY, version integer NOT NULL)")
        for script in _SCRIPTS[version:]:
            link.script(script)
        link.change(_NOTE, (_COMPONENT, len(_SCRIPTS)))


def _version(link: Link) -> int:
    if not link.rows(_FIND)[0][0]:
        return 0
    found = link.rows(_VERSION, (_COMPONENT,))
    return int(found[0][0]) if found else 0
