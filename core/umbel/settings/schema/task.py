"""Settings of tasks: how they are called, routed, run and acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from umbel.settings.kinds import Kind, Refused
from umbel.settings.option import at_least, more_than, not_empty, option

__all__ = ["TaskSettings"]

_POLICY: Final = {"max_retries": 3, "interval_start": 0, "interval_max": 1, "interval_step": 0.2}


class _RetryPolicy(Kind):
    """What is left out of a retry policy keeps its default; keys are checked (B008)."""

    expected = f"a mapping with the keys {', '.join(_POLICY)}, retry_errors"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Refused
        for key, given in value.items():
            if key not in _POLICY and key != "retry_errors":
                raise Refused(f"{key!r} is no key of a retry policy")
            number = isinstance(given, int | float) and not isinstance(given, bool) and given >= 0
            if key in _POLICY and not number and not (key == "max_retries" and given is None):
                raise Refused(f"{key} must be a number, 0 or more, and is {given!r}")
        return {**_POLICY, **value}


class _DeliveryMode(Kind):
    expected = "2 ('persistent') or 1 ('transient')"

    def accept(self, value: Any) -> Any:
        mode = {"transient": 1, "persistent": 2, 1: 1, 2: 2}.get(value) if isinstance(value, int | str) else None
        if mode is None or isinstance(value, bool):
            raise Refused
        return mode


class _AnnotationText(Kind):
    expected = "a rate such as '10/s', '100/m' or '1000/h', or a number a second"

    def accept(self, value: Any) -> Any:
        if isinstance(value, str):
            number, _, unit = value.partition("/")
            try:
                if float(number) >= 0 and unit in ("", "s", "m", "h"):
                    return value
            except ValueError:
                pass
        elif isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return value
        raise Refused


class TaskSettings:
    """What holds for every task that does not say otherwise."""

    __slots__ = ()

    # -- acknowledgement and loss --------------------------------------------------------------------------------------
    task_acks_late: bool = option(
        True,
        "Acknowledge a task when its outcome is stored (at least once); false: before it runs (at most once).",
        celery_default=False,
    )
    task_acks_on_failure_or_timeout: bool = option(
        True,
        "Acknowledge tasks that failed or ran over their time limit.",
        deprecated="task_acks_on_failure and task_acks_on_timeout",
    )
    task_acks_on_failure: bool | None = option(
        None, "False: the message of a failed task is rejected, not acknowledged. Unset: the setting above decides."
    )
    task_acks_on_timeout: bool | None = option(
        None, "False: the message of a task that ran over its limit goes back to its queue. Unset: as above."
    )
    task_reject_on_worker_lost: bool = option(
        True,
        "A task whose process died goes back to its queue, up to `task_max_deliveries`; false: it fails.",
        celery_default=None,
    )
    task_retry_on_worker_lost: bool = option(
        False, "A task whose process died is retried as by `retry()`, within its `max_retries`."
    )
    task_max_deliveries: int = option(
        3, "How often one message may be delivered before it is parked.", check=at_least(1), own=True
    )
    task_unknown_retry_s: float = option(
        60.0,
        "Seconds for which messages of an unknown task go back to their queue (another worker may know it, during a"
        " rolling deployment) before they are parked.",
        check=at_least(0),
        own=True,
    )
    task_workflow_storage: Literal["auto", "embedded", "stored"] = option(
        "auto",
        "Where the steps to come of a long workflow are: in its messages (`embedded`, which Celery's workers can read),"
        " or once in the result backend (`stored`, so that messages stay small). `auto` stores them where no Celery"
        " worker can be the receiver: on SQLite, PostgreSQL and folders of files.",
        own=True,
    )
    task_max_body_bytes: int = option(
        256 * 1024 * 1024,
        "The largest body, unpacked, that is decoded; a larger message is parked.",
        check=at_least(1024),
        own=True,
    )

    # -- running -------------------------------------------------------------------------------------------------------
    task_always_eager: bool = option(False, "Calls run at once in the caller's process and nothing is sent.")
    task_eager_propagates: bool = option(
        False, "Eager calls raise what the task raises.", old=("CELERY_EAGER_PROPAGATES_EXCEPTIONS",)
    )
    task_store_eager_result: bool = option(False, "Results of eager calls are stored.")
    task_annotations: Any = option(
        None,
        "Changes attributes of tasks: a mapping of task name (or `*`) to attributes, an object, or a list of them.",
    )
    task_default_rate_limit: str | float | None = option(
        None, "The rate limit of tasks that have none: `10/s`, `100/m`, `1000/h`; per worker.", kind=_AnnotationText()
    )
    task_time_limit: float | None = option(
        None,
        "Seconds after which the process that runs a task is killed and replaced.",
        check=more_than(0),
        old=("CELERYD_TASK_TIME_LIMIT",),
    )
    task_soft_time_limit: float | None = option(
        None,
        "Seconds after which `SoftTimeLimitExceeded` is raised inside the task; below `task_time_limit`.",
        check=more_than(0),
        old=("CELERYD_TASK_SOFT_TIME_LIMIT", "CELERYD_SOFT_TASK_TIME_LIMIT", "CELERY_TASK_SOFT_TIME_LIMIT"),
    )
    task_track_started: bool = option(False, "Report the state STARTED when a task begins.")
    task_ignore_result: bool = option(False, "Store no results.")
    task_store_errors_even_if_ignored: bool = option(False, "Store failures of tasks that ignore their result.")
    task_remote_tracebacks: bool = option(False, "Errors carry the worker's traceback to the caller (needs tblib).")
    task_repr_maxlevels: int = option(3, "How deep arguments are shown in headers, events and logs.", check=at_least(1))
    task_allow_error_cb_on_chord_header: bool = option(
        False, "An error callback of a chord is also linked to every task of its header."
    )

    # -- messages ------------------------------------------------------------------------------------------------------
    task_serializer: str = option(
        "json", "How calls are serialized: the name of a serializer.", old=("CELERY_TASK_SERIALIZER",), check=not_empty
    )
    task_compression: str | None = option(
        None, "How bodies are compressed: gzip, bzip2, lzma, zstd, brotli.", old=("CELERY_MESSAGE_COMPRESSION",)
    )
    task_protocol: Literal[1, 2] = option(2, "The protocol of the messages sent.", old=("CELERY_TASK_PROTOCOL",))
    task_publish_retry: bool = option(
        True, "Sending is tried again when the connection is lost.", old=("CELERY_TASK_PUBLISH_RETRY",)
    )
    task_publish_retry_policy: dict[str, Any] = option(
        _POLICY,
        "How often and after which pauses (seconds) sending is tried again; `max_retries` 0 or None: until"
        " `task_publish_timeout_s`.",
        kind=_RetryPolicy(),
        old=("CELERY_TASK_PUBLISH_RETRY_POLICY",),
    )
    task_publish_timeout_s: float = option(
        10.0,
        "Seconds after which sending a task gives up with an error, retries included.",
        check=more_than(0),
        own=True,
    )
    task_send_sent_event: bool = option(
        False, "Send the event task-sent for each call.", old=("CELERY_SEND_TASK_SENT_EVENT",)
    )

    # -- routing -------------------------------------------------------------------------------------------------------
    task_routes: Any = option(
        None, "Where tasks go: a mapping by name or pattern, a function, a class, or a list of them."
    )
    task_queues: Any = option(None, "The queues a worker consumes: a list of `Queue`, or a mapping of name to options.")
    task_create_missing_queues: bool = option(True, "A queue that is named and not defined is created.")
    task_create_missing_queue_type: Literal["classic", "quorum"] = option("classic", "The type of such a queue.")
    task_create_missing_queue_exchange_type: str | None = option(None, "The type of its exchange.")
    task_default_queue: str = option("celery", "The queue of calls that no router sends elsewhere.", check=not_empty)
    task_default_queue_type: Literal["classic", "quorum"] = option("classic", "The type of that queue.")
    task_default_exchange: str | None = option(None, "Its exchange; unset: named like the queue.")
    task_default_exchange_type: str = option("direct", "The type of that exchange.", check=not_empty)
    task_default_routing_key: str | None = option(None, "Its routing key; unset: the queue's name.")
    task_default_delivery_mode: Literal[1, 2] = option(
        2, "2 or `persistent`: messages survive a restart of the broker; 1 or `transient`.", kind=_DeliveryMode()
    )
    task_default_priority: int | None = option(None, "The priority of calls that name none.", check=at_least(0))
    task_inherit_parent_priority: bool = option(False, "A task that is called by a task has its priority.")
    task_queue_max_priority: int | None = option(
        None, "The highest priority of every queue (x-max-priority).", check=at_least(0)
    )
