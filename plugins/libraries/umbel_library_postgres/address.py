"""Reads the URL: which database, which schema, and how it is called where people can see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import attrs
import psycopg
import psycopg.conninfo

from umbel.exceptions import ImproperlyConfigured
from umbel.urls import mask_url

__all__ = ["Address"]

#: Short enough for the names of channels, which begin with it.
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}\Z")
#: A peer that is gone without a word is noticed within these times, unless the URL says others.
_DEFAULTS: Final = {
    "application_name": "umbel",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@attrs.frozen
class Address:
    """A database and a schema in it. *options* are libpq's, with the password; *masked* is the URL without it."""

    options: Mapping[str, str] = attrs.field(repr=False)
    schema: str
    masked: str
    identity: str

    @classmethod
    def of(cls, url: str, schema: str) -> Address:
        """Read *url*. Raises :class:`~umbel.exceptions.ImproperlyConfigured`, with the password masked."""
        masked = mask_url(url)
        place, _, query = url.partition("://")[2].partition("?")
        kept = []
        for pair in filter(None, query.split("&")):
            if pair.startswith("schema="):
                schema = unquote(pair.removeprefix("schema="))
            else:
                kept.append(pair)
        try:
            found = psycopg.conninfo.conninfo_to_dict(f"postgresql://{place}" + (f"?{'&'.join(kept)}" if kept else ""))
        except psycopg.Error:
            # The driver's text may quote the password.
            raise ImproperlyConfigured(
                f"expected a URL such as postgresql://user:password@host:5432/database, got {masked}: parameters after "
                "'?' are libpq's (sslmode, connect_timeout, ...) and schema; write '@', ':' and '/' in a password as "
                "%40, %3A, %2F"
            ) from None
        if not _SCHEMA.match(schema):
            raise ImproperlyConfigured(
                f"expected the schema of {masked} to be a lower-case name of at most 40 letters, digits and '_', "
                f"got {schema!r}"
            )
        options = {**_DEFAULTS, **{name: str(value) for name, value in found.items()}}
        if "," in options.get("host", ""):
            options.setdefault("target_session_attrs", "read-write")
        return cls(options, schema, masked, _identity(options))


def _identity(options: Mapping[str, str]) -> str:
    """Name database and user: what is left out is filled in as libpq does."""
    known = {option.keyword.decode(): (option.val or b"").decode() for option in psycopg.pq.Conninfo.get_defaults()}
    user = options.get("user") or known.get("user", "")
    host = options.get("host") or options.get("hostaddr") or known.get("host", "")
    port = options.get("port") or known.get("port") or "5432"
    return f"postgresql:{user}@{host}:{port}/{options.get('dbname') or known.get('dbname') or user}"
