"""Settings of results."""

from __future__ import annotations

from typing import Any

from umbel.settings.kinds import Seconds, Urls
from umbel.settings.option import at_least, more_than, not_empty, option

__all__ = ["ResultSettings"]


class ResultSettings:
    """Where results are kept, how, and for how long."""

    __slots__ = ()

    result_backend: str | None = option(
        None,
        "The result store: a URL, or the name of a backend. Unset: off when a broker is configured, else the embedded"
        " SQLite file.",
        old=("CELERY_RESULT_BACKEND", "CELERY_BACKEND"),
        kind=Urls(),
        secret=True,
    )
    result_backend_transport_options: dict[str, Any] = option({}, "Options of the result backend.", secret=True)
    result_backend_thread_safe: bool = option(
        False, "Share one backend among threads.", inert="every backend may be used from any thread"
    )
    result_serializer: str = option("json", "How results are serialized: the name of a serializer.", check=not_empty)
    result_accept_content: tuple[str, ...] | None = option(
        None,
        "Serializers of results that are decoded; unset: `accept_content`.",
        check=not_empty,
        old=("CELERY_RESULT_ACCEPT_CONTENT", "RESULT_ACCEPT_CONTENT"),
    )
    result_compression: str | None = option(None, "How results are compressed.")
    result_extended: bool = option(False, "Store name, arguments, worker, retries and queue with each result.")
    result_expires: float | None = option(
        86400.0,
        "Seconds (or a timedelta) for which results are kept; None or 0: for ever.",
        kind=Seconds(),
        old=("CELERY_TASK_RESULT_EXPIRES", "CELERY_AMQP_TASK_RESULT_EXPIRES"),
        check=at_least(0),
    )
    result_failure_expires: float | None = option(
        None, "The same for failures; unset: `result_expires`.", kind=Seconds(), check=at_least(0)
    )
    result_chord_expires: float | None = option(
        None, "The same for the bookkeeping of chords; unset: `result_expires`.", kind=Seconds(), check=at_least(0)
    )
    result_cache_max: int = option(
        -1,
        "How many finished results the caller's process keeps, so that they are read once; 0: all, -1: none.",
        old=("CELERY_MAX_CACHED_RESULTS",),
        check=at_least(-1),
    )
    result_persistent: bool | None = option(None, "Results that are messages survive a restart of the broker.")
    result_exchange: str = option("celeryresults", "The exchange of results that are messages.")
    result_exchange_type: str = option("direct", "Its type.")
    result_chord_retry_interval: float = option(
        1.0, "Seconds between two looks at a chord, in stores that cannot count its members.", check=more_than(0)
    )
    result_chord_join_timeout: float = option(
        3.0, "Seconds to read the results of a chord's header.", check=more_than(0)
    )
    result_backend_always_retry: bool = option(False, "Try again for ever when the store cannot be reached.")
    result_backend_max_retries: float = option(float("inf"), "How often to try again.", check=at_least(0))
    result_backend_base_sleep_between_retries_ms: int = option(10, "The first pause, milliseconds.", check=at_least(0))
    result_backend_max_sleep_between_retries_ms: int = option(
        10000, "The longest pause, milliseconds.", check=at_least(0)
    )
