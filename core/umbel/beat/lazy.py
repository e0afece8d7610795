"""Arguments of an entry that are made when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["BeatLazyFunc", "evaluated_args", "evaluated_kwargs"]


class BeatLazyFunc:
    """Among the arguments of an entry: ``func(*args, **kwargs)`` is called each time, and its answer is sent.

    ::

        app.conf.beat_schedule = {
            "report": {"task": "tasks.report", "schedule": 60, "args": [BeatLazyFunc(datetime.date.today)]},
        }
    """

    def __init__(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._func = func
        self._args = args
        self._kwargs = kwargs

    def __call__(self) -> Any:
        return self.delay()

    def delay(self) -> Any:
        """Return what the function returns now."""
        return self._func(*self._args, **self._kwargs)


def evaluated_args(args: Sequence[Any] | None) -> list[Any]:
    """Return *args* with every lazy one made."""
    return [value() if isinstance(value, BeatLazyFunc) else value for value in args or ()]


def evaluated_kwargs(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return *kwargs* with every lazy one made."""
    return {name: value() if isinstance(value, BeatLazyFunc) else value for name, value in (kwargs or {}).items()}
