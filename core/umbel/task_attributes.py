"""The options of a task: what ``@app.task(...)`` and a ``Task`` class may set, and what stands where they do not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict

if TYPE_CHECKING:
    from umbel.spi import ResultBackend

__all__ = ["OPTION_NAMES", "FromConfig", "TaskAttributes", "TaskOptions"]


class TaskOptions(TypedDict, total=False):
    """Every option of ``@app.task`` but ``bind``; ``docs/reference/tasks.md`` says what each does."""

    name: str | None
    base: type[Any] | None
    shared: bool
    lazy: bool
    filter: Callable[[Any], Any] | None
    typing: bool
    serializer: str
    compression: str | None
    ignore_result: bool
    store_errors_even_if_ignored: bool
    track_started: bool
    acks_late: bool
    acks_on_failure_or_timeout: bool
    acks_on_failure: bool | None
    acks_on_timeout: bool | None
    reject_on_worker_lost: bool
    retry_on_worker_lost: bool
    rate_limit: str | float | None
    time_limit: float | None
    soft_time_limit: float | None
    max_retries: int | None
    default_retry_delay: float
    autoretry_for: Sequence[type[BaseException]]
    dont_autoretry_for: Sequence[type[BaseException]]
    retry_kwargs: Mapping[str, Any]
    retry_backoff: bool | float
    retry_backoff_max: float
    retry_jitter: bool
    throws: Sequence[type[BaseException]] | type[BaseException]
    trail: bool
    send_events: bool
    expires: float | dt.timedelta | dt.datetime | None
    priority: int | None
    resultrepr_maxsize: int
    shadow_name: Callable[..., str | None]
    backend: str | ResultBackend | None
    abstract: bool
    Strategy: Any
    Request: Any
    pydantic: bool
    pydantic_strict: bool | None
    pydantic_context: Mapping[str, Any] | None
    pydantic_dump_kwargs: Mapping[str, Any] | None
    queue: str | None
    exchange: str | None
    routing_key: str | None
    delivery_mode: int | str
    after_return: Callable[..., Any]
    on_success: Callable[..., Any]
    on_failure: Callable[..., Any]
    on_retry: Callable[..., Any]
    before_start: Callable[..., Any]
    on_replace: Callable[..., Any]
    on_bound: Callable[..., Any]
    flush_every: int
    flush_interval: float


#: Those of :class:`umbel.contrib.batches.Batches` are typed above, and known to tasks with that base alone.
_OF_BATCHES: Final = frozenset({"flush_every", "flush_interval"})
OPTION_NAMES: Final = (frozenset(TaskOptions.__annotations__) | {"bind"}) - _OF_BATCHES


class FromConfig:
    """An attribute that a task or its class may set, and that is a setting of its application while they do not."""

    def __init__(self, setting: str) -> None:
        self.setting = setting

    def __get__(self, task: Any, owner: type[Any]) -> Any:
        if task is None or task.app is None:
            return None
        return getattr(task.app.conf, self.setting)


class TaskAttributes:
    """The attributes of every task, with their defaults. ``None`` for a limit or a place means: the worker's, the route's."""

    abstract: ClassVar[bool] = True
    typing: bool = True
    compression: str | None
    rate_limit: str | float | None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    max_retries: int | None = 3
    default_retry_delay: float = 180
    autoretry_for: Sequence[type[BaseException]] = ()
    dont_autoretry_for: Sequence[type[BaseException]] = ()
    retry_kwargs: Mapping[str, Any] = {}
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    throws: Sequence[type[BaseException]] | type[BaseException] = ()
    trail: bool = True
    send_events: bool = True
    expires: float | dt.timedelta | dt.datetime | None = None
    priority: int | None = None
    resultrepr_maxsize: int = 1024
    acks_on_failure: bool | None
    acks_on_timeout: bool | None
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    Strategy: Any = None
    Request: Any = None
    pydantic: bool = False
    pydantic_strict: bool | None = None
    pydantic_context: Mapping[str, Any] | None = None
    pydantic_dump_kwargs: Mapping[str, Any] | None = None

    if TYPE_CHECKING:
        serializer: str
        ignore_result: bool
        store_errors_even_if_ignored: bool
        track_started: bool
        acks_late: bool
        acks_on_failure_or_timeout: bool
        reject_on_worker_lost: bool
        retry_on_worker_lost: bool
        delivery_mode: int | str
    else:
        serializer = FromConfig("task_serializer")
        compression = FromConfig("task_compression")
        ignore_result = FromConfig("task_ignore_result")
        store_errors_even_if_ignored = FromConfig("task_store_errors_even_if_ignored")
        track_started = FromConfig("task_track_started")
        acks_late = FromConfig("task_acks_late")
        acks_on_failure_or_timeout = FromConfig("task_acks_on_failure_or_timeout")
        acks_on_failure = FromConfig("task_acks_on_failure")
        acks_on_timeout = FromConfig("task_acks_on_timeout")
        reject_on_worker_lost = FromConfig("task_reject_on_worker_lost")
        retry_on_worker_lost = FromConfig("task_retry_on_worker_lost")
        rate_limit = FromConfig("task_default_rate_limit")
        delivery_mode = FromConfig("task_default_delivery_mode")
