"""Bootsteps: parts that a project adds to its workers, in Celery's form."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from umbel.worker.steps import Step as WorkerStep

__all__ = [
    "Agent",
    "Beat",
    "Blueprint",
    "Connection",
    "Consumer",
    "ConsumerStep",
    "Control",
    "Events",
    "Gossip",
    "Heart",
    "Hub",
    "Mingle",
    "Pool",
    "StartStopStep",
    "StateDB",
    "Step",
    "StepType",
    "Tasks",
    "Timer",
]

logger = logging.getLogger("celery.bootsteps")

StepType = type

#: Celery's parts of a worker -> Umbel's step that does their work.
_PARTS: Final = {
    "Agent": "intake",
    "Beat": "pool",
    "Connection": "intake",
    "Consumer": "intake",
    "Control": "intake",
    "Events": "outflow",
    "Gossip": "intake",
    "Heart": "intake",
    "Hub": "pool",
    "Mingle": "intake",
    "Pool": "pool",
    "StateDB": "pool",
    "Tasks": "intake",
    "Timer": "timers",
    "Autoscaler": "pool",
    "Evloop": "traffic",
}


def _required(entry: Any) -> Any:
    """Return Umbel's name of what a Celery step requires, by a name such as ``celery.worker.components:Pool``."""
    if isinstance(entry, str):
        last = entry.replace(":", ".").rpartition(".")[2]
        return _PARTS.get(last, entry.replace(":", "."))
    return _PARTS.get(entry.__name__, entry) if entry.__module__ == __name__ else entry


class Step(WorkerStep):
    """A part of a worker. A subclass writes ``__init__(self, parent, **options)``, ``create``, ``start``, ``stop``."""

    label: ClassVar[str | None] = None
    conditional: ClassVar[bool] = False
    enabled = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.requires = tuple(dict.fromkeys(_required(entry) for entry in cls.requires))

    def __init__(self, parent: Any, **_: Any) -> None:
        super().__init__(parent)

    def include_if(self, worker: Any) -> bool:
        """Say whether the step takes part."""
        return self.enabled

    def instantiate(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        """Make an object of the class that *name* is or names."""
        from umbel_extension_celery.symbols import instantiate  # beside its only use

        return instantiate(name, *args, **kwargs)

    @property
    def alias(self) -> str:
        """The step's short name."""
        return self.label or type(self).__name__

    def close(self, parent: Any) -> None:
        """Called before the worker stops; for subclasses."""

    def info(self, worker: Any) -> Mapping[str, Any]:
        """Return figures for ``inspect stats``; for subclasses."""
        return {}


class StartStopStep(Step):
    """A step that starts and stops what ``create`` returns."""

    obj: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("create")
        if own is not None:

            def create(self: Any, parent: Any) -> Any:
                self.obj = own(self, parent)
                return self.obj

            cls.create = create  # type: ignore[assignment, method-assign]

    def start(self, worker: Any) -> None:
        """Start what was created."""
        if self.obj is not None:
            self.obj.start()

    def stop(self, worker: Any) -> None:
        """Stop what was created."""
        if self.obj is not None:
            self.obj.stop()

    def terminate(self, worker: Any) -> None:
        """End what was created, at once where it can."""
        if self.obj is not None:
            getattr(self.obj, "terminate", self.obj.stop)()


class ConsumerStep(StartStopStep):
    """Takes messages of the project's own: ``get_consumers(channel)`` returns kombu consumers."""

    requires: ClassVar[Sequence[Any]] = ("intake",)
    consumers: Sequence[Any] | None = None

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def get_consumers(self, channel: Any) -> Sequence[Any]:
        """Return the consumers, on *channel*."""
        raise NotImplementedError(f"{type(self).__name__} must define get_consumers()")

    def start(self, worker: Any) -> None:
        """Consume, in a thread with a connection of its own, until :meth:`stop`."""
        self._thread = threading.Thread(target=self._run, args=(worker,), name=f"umbel-{self.alias}", daemon=True)
        self._thread.start()

    def _run(self, c: Any) -> None:
        while not self._stopping.is_set():
            try:
                self._consume(c)
            except Exception:
                logger.warning(
                    "the consumers of step %s lost their connection; again in 1 s", self.alias, exc_info=True
                )
                self._stopping.wait(1.0)

    def _consume(self, c: Any) -> None:
        with c.app.connection_for_read() as connection, connection.channel() as channel:
            self.consumers = list(self.get_consumers(channel) or ())
            for consumer in self.consumers:
                consumer.consume()
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):  # nothing came
                    connection.drain_events(timeout=0.5)

    def stop(self, worker: Any) -> None:
        """Consume no more; what was not acknowledged goes back."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5.0)

    shutdown = stop


class Blueprint:
    """Celery's graph of steps; Umbel's worker has its own, so this only names the default steps of a subclass."""

    default_steps: ClassVar[set[Any]] = set()

    def __init__(self, steps: Any = None, name: str | None = None, **_: Any) -> None:
        self.name = name or type(self).__name__
        self.steps = list(steps or ())


class _Part(Step):
    """Stands for a part of Umbel's worker where a step requires it by its class."""


class Pool(_Part):
    """The pool."""


class Timer(_Part):
    """The timers."""


class Hub(_Part):
    """The event loop, which Umbel's worker does not have."""


class Beat(_Part):
    """The scheduler inside of the worker."""


class StateDB(_Part):
    """The file of revoked tasks."""


class Consumer(_Part):
    """The consumer."""


class Connection(_Part):
    """The consumer's connection."""


class Events(_Part):
    """The events."""


class Heart(_Part):
    """The heartbeats."""


class Control(_Part):
    """Remote control."""


class Tasks(_Part):
    """The consumption of tasks."""


class Gossip(_Part):
    """What workers tell each other."""


class Mingle(_Part):
    """What a new worker asks the others."""


class Agent(_Part):
    """The agent."""
