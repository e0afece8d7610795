"""The kernel's settings, a section a module, and all of them as one class.

The rows are plain class attributes whose annotations say the type; :class:`Settings` has a slot for each. (One attrs
class of this many fields takes ten milliseconds to make at each start; this takes less than one.)
"""

from __future__ import annotations

from typing import Final

from umbel.settings.option import Option, collect
from umbel.settings.schema.broker import BrokerSettings
from umbel.settings.schema.control import BeatSettings, ControlSettings, DaemonSettings, EventSettings
from umbel.settings.schema.general import GeneralSettings, SecuritySettings
from umbel.settings.schema.result import ResultSettings
from umbel.settings.schema.task import TaskSettings
from umbel.settings.schema.worker import WorkerSettings

__all__ = ["GROUPS", "OPTIONS", "Settings"]

#: Every setting of the kernel by name, in the order of the reference page.
OPTIONS: Final[dict[str, Option]] = collect(
    GeneralSettings,
    BrokerSettings,
    ResultSettings,
    TaskSettings,
    WorkerSettings,
    ControlSettings,
    EventSettings,
    BeatSettings,
    SecuritySettings,
    DaemonSettings,
)

#: The first words of the kernel's names: ``task`` of ``task_routes``.
GROUPS: Final = frozenset({"beat", "broker", "control", "event", "events", "result", "security", "task", "worker"})


class Settings(
    GeneralSettings,
    BrokerSettings,
    ResultSettings,
    TaskSettings,
    WorkerSettings,
    ControlSettings,
    EventSettings,
    BeatSettings,
    SecuritySettings,
    DaemonSettings,
):
    """Every setting of the kernel as an attribute: a slot, as quick to read as an attribute can be."""

    __slots__ = tuple(OPTIONS)
