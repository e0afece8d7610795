"""``celery.Task``: Umbel's task, with what Celery's has beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from umbel import Task as UmbelTask
from umbel.task_attributes import OPTION_NAMES

__all__ = ["Task", "with_attributes"]


class Task(UmbelTask[..., Any]):
    """The base of a Celery project's tasks; made by ``@app.task``, or subclassed and given to ``base=``."""

    abstract: ClassVar[bool] = True
    #: Celery's name for what calls of an abstract class are refused with.
    strict_typing: ClassVar[bool] = True

    @property
    def backend(self) -> Any:
        """The task's result backend with Celery's methods."""
        from umbel_extension_celery.backends.facade import backend_facade  # for start-up: few tasks ask for it

        return backend_facade(self.app, self.result_backend)

    @classmethod
    def _get_app(cls) -> Any:
        from umbel_extension_celery.current import get_current_app  # the application asks this module

        return getattr(cls, "app", None) or get_current_app()

    def subtask(self, *args: Any, **kwargs: Any) -> Any:
        """The old name of ``signature``."""
        return self.signature(*args, **kwargs)

    def start_strategy(self, app: Any, consumer: Any, **kwargs: Any) -> Any:
        """Refused: Umbel's worker has no strategies to start."""
        raise NotImplementedError(f"task {self.name}: Umbel's worker runs tasks without Celery's execution strategies")


def with_attributes(base: type[Any], options: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """Return (a base class that has the options which are no options of Umbel's, the options that are)."""
    foreign = {name: value for name, value in options.items() if name not in OPTION_NAMES and not hasattr(base, name)}
    known = {name: value for name, value in options.items() if name not in foreign}
    if foreign:
        base = type(base.__name__, (base,), {**foreign, "abstract": True, "__module__": base.__module__})
    return base, known
