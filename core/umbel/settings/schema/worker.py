"""Settings of the worker."""

from __future__ import annotations

from typing import Any, Final, Literal

from umbel.settings.option import at_least, more_than, not_empty, option

__all__ = ["WorkerSettings"]

_LINE: Final = "[%(asctime)s: %(levelname)s/%(processName)s] "
_INERT_CLASS: Final = "the worker is extended by steps and plugins, not by naming a class"


class WorkerSettings:
    """How a worker fetches, runs, logs and stops."""

    __slots__ = ()

    # -- the pool ------------------------------------------------------------------------------------------------------
    worker_pool: Any = option("prefork", "The pool that runs tasks: the name of a pool plugin.", check=not_empty)
    worker_concurrency: int | Literal["auto"] | None = option(
        None,
        "How many tasks run at once; unset, 0 or `auto`: the number of processors this process may use.",
        old=("CELERYD_CONCURRENCY", "CELERY_CONCURRENCY"),
        check=at_least(0),
    )
    worker_autoscaler: Any = option(
        None,
        "The class that grows and shrinks the pool.",
        celery_default="celery.worker.autoscale:Autoscaler",
        inert=_INERT_CLASS,
    )
    worker_max_tasks_per_child: int | None = option(
        None, "A pool process is replaced after this many tasks.", check=at_least(1)
    )
    worker_max_memory_per_child: int | None = option(
        None, "A pool process that has grown beyond this many KiB is replaced after its task.", check=at_least(1)
    )
    worker_proc_alive_timeout: float = option(
        4.0, "Seconds that a new pool process has to come up.", check=more_than(0)
    )
    worker_lost_wait: float = option(
        10.0,
        "Seconds to wait for the outcome of a task whose process has ended before it counts as lost.",
        old=("CELERYD_WORKER_LOST_WAIT",),
        check=at_least(0),
    )
    worker_pool_restarts: bool = option(False, "Allow the remote command pool_restart.")
    worker_pool_start_method: Literal["fork", "spawn", "forkserver"] = option(
        "fork", "How pool processes are made; `fork` is from a single-threaded server that has the application loaded."
    )
    worker_pool_putlocks: bool = option(
        True, "Bounds what waits in the pool's pipe.", inert="what waits in a pool is always bounded"
    )

    # -- fetching ------------------------------------------------------------------------------------------------------
    worker_prefetch_multiplier: int = option(
        4, "Messages fetched ahead for each running task; 0: without limit.", check=at_least(0)
    )
    worker_disable_prefetch: bool = option(False, "Fetch only what can start at once.")
    worker_eta_task_limit: int | None = option(
        None, "The most tasks held in memory until they are due (where the broker cannot hold them).", check=at_least(1)
    )
    worker_enable_prefetch_count_reduction: bool = option(
        True, "After a reconnection fetch less, until what was running has ended."
    )
    worker_detect_quorum_queues: bool = option(True, "Use what quorum queues need when one is consumed.")
    worker_direct: bool = option(
        False, "Each worker also consumes a queue of its own (`NODE.dq2`).", old=("CELERY_WORKER_DIRECT",)
    )
    worker_disable_rate_limits: bool = option(False, "Ignore every rate limit.", old=("CELERY_DISABLE_RATE_LIMITS",))
    worker_deduplicate_successful_tasks: bool = option(
        False, "A message that is delivered again is not run when its task has succeeded already (needs results)."
    )
    worker_cancel_long_running_tasks_on_connection_loss: bool = option(
        False, "Cancel tasks that acknowledge late when the broker is lost: they will be delivered again."
    )

    # -- stopping ------------------------------------------------------------------------------------------------------
    worker_shutdown_timeout_s: float | None = option(
        None,
        "Seconds that running tasks have to end after TERM before they are given back; unset: as long as they take.",
        check=at_least(0),
        own=True,
    )
    worker_soft_shutdown_timeout: float = option(
        0.0, "Seconds that running tasks have to end after QUIT before they are given back.", check=at_least(0)
    )
    worker_enable_soft_shutdown_on_idle: bool = option(
        False, "Wait for that time also when nothing runs and tasks are held until they are due."
    )

    # -- control and events --------------------------------------------------------------------------------------------
    worker_enable_remote_control: bool = option(
        True, "Listen to remote control commands.", old=("CELERY_ENABLE_REMOTE_CONTROL",)
    )
    worker_send_task_events: bool = option(
        False, "Send events of tasks, for monitors (`-E`).", old=("CELERY_SEND_EVENTS", "CELERY_SEND_TASK_EVENTS")
    )
    worker_http: str | None = option(
        None,
        "Where the HTTP endpoint listens (`HOST:PORT`): `/live`, `/ready` and `/metrics`; unset: nowhere.",
        own=True,
    )
    worker_state_db: str | None = option(None, "A file that keeps the revoked tasks over a restart.")
    worker_timer_precision: float = option(
        1.0,
        "The longest sleep, in seconds, of the timer that starts tasks that are due.",
        old=("CELERYD_ETA_SCHEDULER_PRECISION",),
        check=more_than(0),
    )

    # -- logging -------------------------------------------------------------------------------------------------------
    worker_hijack_root_logger: bool = option(True, "Replace the handlers of the root logger.")
    worker_log_color: bool | None = option(None, "Colour the log; unset: when it goes to a terminal.")
    worker_log_format: str = option(_LINE + "%(message)s", "The format of log lines.")
    worker_log_datefmt: str | None = option(None, "The format of their times (strftime).")
    worker_task_log_format: str = option(
        _LINE + "%(task_name)s[%(task_id)s]: %(message)s", "The format of lines that tasks log."
    )
    worker_task_log_datefmt: str | None = option(None, "The format of their times (strftime).")
    worker_redirect_stdouts: bool = option(True, "What tasks print goes to the log.", old=("CELERY_REDIRECT_STDOUTS",))
    worker_redirect_stdouts_level: Any = option(
        "WARNING",
        "The level of what they print.",
        old=("CELERY_REDIRECT_STDOUTS_LEVEL", "CELERYD_REDIRECT_STDOUTS_LEVEL"),
    )

    # -- classes, for configurations written for Celery ---------------------------------------------------------------
    worker_agent: Any = option(None, "The class of the consumer's agent.", inert=_INERT_CLASS)
    worker_consumer: Any = option(
        None, "The class of the consumer.", celery_default="celery.worker.consumer:Consumer", inert=_INERT_CLASS
    )
    worker_timer: Any = option(None, "The class of the timer.", old=("CELERYD_ETA_SCHEDULER",), inert=_INERT_CLASS)
