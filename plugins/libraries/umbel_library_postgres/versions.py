"""How versions of tables follow each other. Transport and backend have their own tables in one schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from umbel.exceptions import OperationalError
from umbel_library_postgres.link import Link

__all__ = ["migrate"]

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


def migrate(
    link: Link, component: str, scripts: Sequence[str], error_class: type[Exception] = OperationalError
) -> None:
    """Make the tables of *component*, or bring them up to date; one process does it while the others wait.

    ``scripts[n]`` makes version n + 1 of version n. Raises *error_class* when the tables are of a newer version.
    """
    if _version(link, component) == len(scripts):
        return
    with link.transaction():
        link.rows(_LOCK)
        _, has_schema = link.rows(_FIND)[0]
        if not has_schema:
            link.script("CREATE schema SCHEMA")
        version = _version(link, component)
        if version > len(scripts):
            raise error_class(
                f"expected the tables in schema {link.schema!r} to be of version {len(scripts)} or older, got "
                f"{version}: a newer Umbel has made them; start that one, or use another schema"
            )
        link.script("CREATE TABLE IF NOT EXISTS SCHEMA.versions (component text PRIMARY KEY, version integer NOT NULL)")
        for script in scripts[version:]:
            link.script(script)
        link.change(_NOTE, (component, len(scripts)))


def _version(link: Link, component: str) -> int:
    if not link.rows(_FIND)[0][0]:
        return 0
    found = link.rows(_VERSION, (component,))
    return int(found[0][0]) if found else 0
