"""Settings that cannot stand beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.schema import Settings

__all__ = ["check_combinations"]


class _Rule(NamedTuple):
    """Two settings, when they contradict each other, and what to do then."""

    first: str
    second: str
    contradict: Callable[[Any, Any], bool]
    cure: str


def _both(first: Any, second: Any) -> bool:
    return bool(first) and bool(second)


def _not_below(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and first >= second


def _above(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and first > second


_ONE_OF_THEM: Final = "set one of them to false"
_RULES: Final = (
    _Rule(
        "task_soft_time_limit",
        "task_time_limit",
        _not_below,
        "the soft limit must be the lower one, or the task is killed before it is warned",
    ),
    _Rule("task_default_priority", "task_queue_max_priority", _above, "a priority cannot be above the queues' highest"),
    _Rule("control_queue_exclusive", "control_queue_durable", _both, _ONE_OF_THEM),
    _Rule("event_queue_exclusive", "event_queue_durable", _both, _ONE_OF_THEM),
    _Rule(
        "result_backend_base_sleep_between_retries_ms",
        "result_backend_max_sleep_between_retries_ms",
        _above,
        "the first pause cannot be longer than the longest",
    ),
)


def check_combinations(settings: Settings, place: Callable[[str], object], names: Iterable[str] | None = None) -> None:
    """Raise when two settings contradict each other; *place* tells where one was set.

    With *names*, only the rules that concern one of them are asked.
    """
    concerned = None if names is None else frozenset(names)
    for rule in _RULES:
        if concerned is not None and concerned.isdisjoint((rule.first, rule.second)):
            continue
        first, second = getattr(settings, rule.first), getattr(settings, rule.second)
        if rule.contradict(first, second):
            raise ImproperlyConfigured(
                f"{rule.first} = {first!r} ({place(rule.first)}) and {rule.second} = {second!r} ({place(rule.second)})"
                f" cannot stand together: {rule.cure}"
            )
