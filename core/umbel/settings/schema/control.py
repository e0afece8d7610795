"""Settings of remote control, events, the periodic scheduler, and the daemons' processes."""

from __future__ import annotations

from typing import Any

from umbel.settings.kinds import Seconds
from umbel.settings.option import at_least, more_than, not_empty, option

__all__ = ["BeatSettings", "ControlSettings", "DaemonSettings", "EventSettings"]


class ControlSettings:
    """The queues of remote control."""

    __slots__ = ()

    control_queue_ttl: float = option(300.0, "Seconds a command waits in a worker's control queue.", check=at_least(0))
    control_queue_expires: float = option(10.0, "Seconds after which an unused control queue goes.", check=more_than(0))
    control_queue_exclusive: bool = option(True, "Control queues belong to one connection; not with durable.")
    control_queue_durable: bool = option(False, "Control queues survive a restart of the broker; not with exclusive.")
    control_revoked_expires: float = option(
        604800.0,
        "Seconds for which it is remembered that a task was revoked; a message that comes later is run.",
        check=more_than(0),
        own=True,
    )
    control_exchange: str = option("celery", "The exchange of remote control (`NAME.pidbox`).", check=not_empty)


class EventSettings:
    """The queues of events."""

    __slots__ = ()

    event_queue_expires: float = option(60.0, "Seconds after which a monitor's unused queue goes.", check=more_than(0))
    event_queue_ttl: float = option(5.0, "Seconds an event waits for a monitor.", check=at_least(0))
    event_queue_prefix: str = option("celeryev", "The first part of the names of monitors' queues.", check=not_empty)
    event_queue_exclusive: bool = option(True, "Monitors' queues belong to one connection; not with durable.")
    event_queue_durable: bool = option(False, "Monitors' queues survive a restart of the broker; not with exclusive.")
    event_serializer: str = option("json", "How events are serialized.", check=not_empty)
    event_exchange: str = option("celeryev", "The exchange of events.", check=not_empty)


class BeatSettings:
    """The periodic scheduler."""

    __slots__ = ()

    beat_schedule: dict[str, Any] = option({}, "The entries that are sent periodically, by name.")
    beat_scheduler: Any = option(
        "persistent",
        "What keeps the entries: the name of a scheduler plugin.",
        celery_default="celery.beat:PersistentScheduler",
        check=not_empty,
    )
    beat_schedule_filename: str = option("celerybeat-schedule", "The file of a scheduler that keeps its times in one.")
    beat_sync_every: int = option(
        0, "Make times durable after this many calls; 0: the scheduler decides.", check=at_least(0)
    )
    beat_max_loop_interval: float = option(
        0.0,
        "The longest sleep, in seconds, between two looks at the schedule; 0: the scheduler decides.",
        kind=Seconds(),
        check=at_least(0),
    )
    beat_cron_starting_deadline: int | None = option(
        None,
        "Seconds for which a missed run of a crontab may still be started (the latest one alone).",
        check=at_least(0),
    )
    beat_enable_remote_control: bool = option(False, "The scheduler answers `inspect ping`.")
    beat_remote_control_max_tick_age: float | None = option(
        None, "It stops answering when its last look at the schedule is older than these seconds.", check=more_than(0)
    )


def _umask(value: Any) -> str | None:
    """Refuse what is not an octal number, or a number below 0o777."""
    try:
        mask = int(value, 8) if isinstance(value, str) else value
    except ValueError:
        mask = -1
    return None if 0 <= mask <= 0o777 else "it must be an octal number up to 777"


class DaemonSettings:
    """The defaults of the options that detach a program; one set each for worker, scheduler and monitor."""

    __slots__ = ()

    worker_logfile: str | None = option(None, "The worker's log file.", old=("CELERYD_LOG_FILE",))
    worker_pidfile: str | None = option(None, "The worker's pid file.", old=("CELERYD_PID_FILE",))
    worker_uid: int | str | None = option(None, "The user the worker runs as.")
    worker_gid: int | str | None = option(None, "The group the worker runs as.")
    worker_umask: int | str | None = option(None, "The worker's umask; text is octal.", check=_umask)
    worker_executable: str | None = option(None, "The Python that a detached worker runs.")
    beat_logfile: str | None = option(None, "The scheduler's log file.", old=("CELERYBEAT_LOG_FILE",))
    beat_pidfile: str | None = option(None, "The scheduler's pid file.", old=("CELERYBEAT_PID_FILE",))
    beat_uid: int | str | None = option(None, "The user the scheduler runs as.")
    beat_gid: int | str | None = option(None, "The group the scheduler runs as.")
    beat_umask: int | str | None = option(None, "The scheduler's umask; text is octal.", check=_umask)
    beat_executable: str | None = option(None, "The Python that a detached scheduler runs.")
    events_logfile: str | None = option(None, "The monitor's log file.")
    events_pidfile: str | None = option(None, "The monitor's pid file.")
    events_uid: int | str | None = option(None, "The user the monitor runs as.")
    events_gid: int | str | None = option(None, "The group the monitor runs as.")
    events_umask: int | str | None = option(None, "The monitor's umask; text is octal.", check=_umask)
    events_executable: str | None = option(None, "The Python that a detached monitor runs.")
