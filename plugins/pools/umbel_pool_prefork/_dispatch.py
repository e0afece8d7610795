"""Which child gets which job, and when a child must hand back what a long job hides."""

from __future__ import annotations

from collections.abc import Collection

from umbel_pool_prefork._backlog import BUDGET_NS, MAX_BATCH, Backlog
from umbel_pool_prefork._process import ChildHandle

__all__ = ["dispatch", "next_nudge_ns", "nudge", "room"]

#: How far ahead the pool asks for work, and how much at most.
_AHEAD_NS = 20_000_000
_MAX_AHEAD = 1000


def _accepts(child: ChildHandle, now_ns: int) -> bool:
    if not child.ready or child.leaving or child.is_nudged:
        return False
    waiting = len(child.outstanding)
    return not waiting or (
        waiting <= MAX_BATCH
        and child.load_ns <= BUDGET_NS // 2
        and not child.is_writing
        and not child.is_held_up(now_ns)
    )


def dispatch(children: Collection[ChildHandle], backlog: Backlog, now_ns: int) -> None:
    """Spread what waits over the children that can take more, the least loaded first."""
    waiting = backlog.accept()
    if not waiting:
        return
    takers = [child for child in children if _accepts(child, now_ns)]
    takers.sort(key=lambda child: child.load_ns)
    for position, child in enumerate(takers):
        share = -(-len(backlog) // (len(takers) - position))
        jobs = backlog.take(min(share, MAX_BATCH), BUDGET_NS - child.load_ns, must_start=not child.outstanding)
        if not jobs:
            break
        child.give(jobs, now_ns)


def nudge(children: Collection[ChildHandle], now_ns: int) -> None:
    """Ask the children that a long job holds up for the rest of their backlog."""
    for child in children:
        if _may_hide(child) and now_ns >= child.nudge_at_ns:
            child.nudge()


def next_nudge_ns(children: Collection[ChildHandle]) -> int | None:
    """Return when :func:`nudge` is to be called next, if it is."""
    return min((child.nudge_at_ns for child in children if _may_hide(child)), default=None)


def _may_hide(child: ChildHandle) -> bool:
    return (len(child.outstanding) > 1 or bool(child.doomed)) and not child.is_nudged


def room(children: Collection[ChildHandle], backlog: Backlog, now_ns: int) -> int:
    """Return how many more jobs could start within the next milliseconds."""
    free = 0
    ahead = 0.0
    mean_ns = backlog.times.mean_ns
    quick = mean_ns is not None and mean_ns < BUDGET_NS
    for child in children:
        if not child.ready or child.leaving:
            continue
        if not child.outstanding:
            free += 1
        if quick and mean_ns is not None and not child.is_held_up(now_ns):
            ahead += max(0, _AHEAD_NS - child.load_ns) / max(mean_ns, 1.0)
    return max(0, max(free, min(int(ahead), _MAX_AHEAD)) - len(backlog))
