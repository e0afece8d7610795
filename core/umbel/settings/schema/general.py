"""Settings of the application as a whole, and of the signing of messages."""

from __future__ import annotations

import datetime as dt
from typing import Any

from umbel.settings.kinds import Kind, Refused
from umbel.settings.option import not_empty, option
from umbel.suggestions import suggest

__all__ = ["GeneralSettings", "SecuritySettings"]


class _Zone(Kind):
    expected = "the name of a time zone, as 'Europe/London', or a tzinfo"

    def accept(self, value: Any) -> Any:
        if value is None or isinstance(value, dt.tzinfo) or value == "UTC":
            return value
        if not isinstance(value, str):
            raise Refused
        import zoneinfo  # costs milliseconds, and few configurations name a zone

        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            known = zoneinfo.available_timezones()
            if known:  # a machine without the database cannot tell
                raise Refused(f"no time zone has this name{suggest(value, known)}") from None
        return value

    def parse(self, text: str) -> Any:
        return self.accept(text)


class GeneralSettings:
    """Content types, modules, times, names."""

    __slots__ = ()

    accept_content: tuple[str, ...] = option(
        ("json",),
        "Serializers (or content types) that are decoded; a message of any other kind is refused and parked.",
        check=not_empty,
    )
    enable_utc: bool = option(
        True,
        "Times inside messages are UTC. Umbel always writes UTC with its offset, so both values are understood.",
        old=("CELERY_ENABLE_UTC", "ENABLE_UTC"),
    )
    timezone: Any = option(
        None,
        "The zone in which schedules are meant and times are shown: a name, or a tzinfo. Unset: UTC.",
        kind=_Zone(),
    )
    imports: tuple[str, ...] = option((), "Modules that the worker imports when it starts.")
    include: tuple[str, ...] = option((), "The same as `imports`: a second list, so that two layers can each own one.")
    override_backends: dict[str, Any] = option(
        {}, "Result backends by name, as classes or `module:Class`; they go before the installed plugins."
    )
    queue_name_prefix: str = option(
        "", "Put before the name of every queue, exchange and key, so that two systems can share a broker.", own=True
    )


class SecuritySettings:
    """The signing of messages."""

    __slots__ = ()

    security_certificate: str | None = option(None, "The X.509 certificate that messages are signed with (a file).")
    security_cert_store: str | None = option(None, "The certificates that are trusted (a pattern of files).")
    security_key: str | None = option(None, "The private key that messages are signed with (a file).")
    security_key_password: Any = option(None, "The password of the private key.", secret=True)
    security_digest: str = option("sha256", "The digest of signatures.", check=not_empty)
