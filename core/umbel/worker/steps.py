"""The parts of a worker as a graph: each step names what must run before it.

A step is a class. Users add theirs with ``app.steps["worker"].add(MyStep)``, plugins through the hook
``umbel_worker_steps``; both stand in the same graph as the worker's own parts, whose names are ``pool``, ``timers``,
``outflow``, ``intake`` and ``traffic``.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["Step", "StepGraph", "StepState", "order_steps"]

logger = logging.getLogger("umbel.worker.steps")


class Step:
    """One part of a worker that starts and stops with it.

    ``name`` defaults to ``module.ClassName``. ``requires`` holds names or classes of steps that must be started before
    this one and are stopped after it. ``last`` puts the step after all that do not require it. All methods are called
    in the thread that starts or stops the worker; the object belongs to one worker.
    """

    name: ClassVar[str] = ""
    requires: ClassVar[Collection[str | type[Step]]] = ()
    last: ClassVar[bool] = False

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def include_if(self, worker: Worker) -> bool:
        """Say whether this step takes part at all; asked once, before anything starts."""
        return True

    def create(self, worker: Worker) -> None:
        """Build what is needed; called for every step, in order, before the first :meth:`start`. Starts no thread."""

    def start(self, worker: Worker) -> None:
        """Begin to work. An exception stops the worker: what was started before is stopped in reverse."""

    def stop(self, worker: Worker) -> None:
        """Finish what runs and end; called only when :meth:`start` was called, also when it raised half way."""

    def terminate(self, worker: Worker) -> None:
        """End at once (cold shutdown); by default the same as :meth:`stop`."""
        self.stop(worker)

    def info(self, worker: Worker) -> Mapping[str, Any]:
        """Return figures of this step for ``umbel inspect stats``."""
        return {}

    @classmethod
    def step_name(cls) -> str:
        """Return the name by which other steps require this one."""
        return cls.__dict__.get("name") or f"{cls.__module__}.{cls.__qualname__}"


class StepState(IntEnum):
    """How far a graph has come."""

    NEW = 0
    RUNNING = 1
    STOPPING = 2
    STOPPED = 3


def order_steps(steps: Sequence[type[Step]]) -> list[type[Step]]:
    """Return *steps* so that each comes after what it requires; otherwise in the order given.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` for an unknown requirement, two steps of one name, and a
    circle.
    """
    by_name: dict[str, type[Step]] = {}
    for cls in steps:
        name = cls.step_name()
        if by_name.setdefault(name, cls) is not cls:
            raise ImproperlyConfigured(
                f"two worker steps are named {name!r}: {by_name[name].__module__}.{by_name[name].__qualname__} and "
                f"{cls.__module__}.{cls.__qualname__}; give one of them another name"
            )
    edges = {name: _requirements(cls, by_name) for name, cls in by_name.items()}
    _put_last(by_name, edges)
    return [by_name[name] for name in _topological(edges)]


def _requirements(cls: type[Step], by_name: Mapping[str, type[Step]]) -> set[str]:
    names = {each if isinstance(each, str) else each.step_name() for each in cls.requires}
    for name in sorted(names - by_name.keys()):
        near = difflib.get_close_matches(name, by_name, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known steps: {', '.join(sorted(by_name))}"
        raise ImproperlyConfigured(f"worker step {cls.step_name()!r} requires {name!r}, which is not there{hint}")
    return names


def _put_last(by_name: Mapping[str, type[Step]], edges: dict[str, set[str]]) -> None:
    """Make every ``last`` step require all steps that do not, by any way, require it."""
    for name, cls in by_name.items():
        if cls.last:
            edges[name] |= {other for other in edges if other != name and not _reaches(other, name, edges)}


def _reaches(start: str, goal: str, edges: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for needed in edges[todo.pop()]:
            if needed == goal:
                return True
            if needed not in seen:
                seen.add(needed)
                todo.append(needed)
    return False


def _topological(edges: Mapping[str, set[str]]) -> Iterable[str]:
    done: dict[str, None] = {}
    waiting = dict(edges)
    while waiting:
        ready = next((name for name, needed in waiting.items() if needed <= done.keys()), None)
        if ready is None:
            raise ImproperlyConfigured(f"these worker steps require each other in a circle: {', '.join(waiting)}")
        done[ready] = None
        del waiting[ready]
    return done


class StepGraph:
    """The steps of one worker, started in order and stopped in reverse, from whatever state they are in.

    Used by one thread, except that :meth:`terminate` may be called while another thread is inside :meth:`stop`: the
    steps that are still to be stopped are then terminated instead.
    """

    def __init__(self, worker: Worker, classes: Sequence[type[Step]]) -> None:
        made = [cls(worker) for cls in order_steps(classes)]
        self.steps: list[Step] = [step for step in made if step.include_if(worker)]
        self.state = StepState.NEW
        self._worker = worker
        self._started: list[Step] = []
        self._cold = False

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if step.step_name() == name:
                return step
        raise KeyError(name)

    def start(self) -> None:
        """Create all steps, then start them. When one raises, stop what was started and raise its error."""
        self.state = StepState.RUNNING
        try:
            for step in self.steps:
                step.create(self._worker)
            for step in self.steps:
                logger.debug("starting step %s", step.step_name())
                self._started.append(step)
                step.start(self._worker)
        except BaseException:
            self.stop(cold=True)
            raise

    def stop(self, *, cold: bool = False) -> None:
        """Stop what was started, in reverse; a step that raises is logged and does not keep the others from it."""
        self._cold = self._cold or cold
        self.state = StepState.STOPPING
        while self._started:
            step = self._started.pop()
            logger.debug("stopping step %s", step.step_name())
            try:
                (step.terminate if self._cold else step.stop)(self._worker)
            except Exception:
                logger.exception("worker step %s could not be stopped cleanly", step.step_name())
        self.state = StepState.STOPPED

    def hasten(self) -> None:
        """Make a :meth:`stop` that is under way in another thread a cold one, for the steps still to come."""
        self._cold = True

    def info(self) -> dict[str, Any]:
        """Return the figures of all steps that have any, by the steps' names."""
        found = {step.step_name(): step.info(self._worker) for step in self.steps}
        return {name: figures for name, figures in found.items() if figures}
