"""What became of the tasks, and whether each promise was kept."""

from __future__ import annotations

import collections
import json
import time
from typing import TYPE_CHECKING, Final

from tests.faults.ledger import Entry
from tests.faults.load import KINDS, Confirmed

if TYPE_CHECKING:
    from tests.faults.outages import Outages

__all__ = ["RESUMED_WITHIN_S", "Verdict"]

#: Consumption is resumed so soon after the broker's return.
RESUMED_WITHIN_S: Final = 5.0
#: What a busy machine may add to a deadline.
_GRACE_S: Final = 1.0
#: A task that is late may have waited behind others on a slow machine; one that is this late was forgotten for a while.
_STUCK_S: Final = 30.0
#: Growth that is none: caches that fill, a thread that is just ending, connections that are made on demand (nine descriptors
#: were seen), memory that the allocator keeps for itself (ten megabytes were seen; objects say whether it is ours).
_GROWTH: Final = {"objects": 3000, "rss_kib": 16 * 1024, "threads": 2, "descriptors": 12}
_BATCH: Final = 500


class Verdict:
    """Compares what was confirmed with ledger and result store. *before* and *after* are the worker's memory."""

    def __init__(self, run: Outages, before: dict[str, int], after: dict[str, int]) -> None:
        self._run = run
        self._before = before
        self._after = after
        self._first_seen: dict[str, bytes] = {}
        self._broken: list[str] = []

    def tell(self) -> int:
        """Print the table, and what was broken; return the exit code."""
        lost, changed, wrong = self._ends()
        starts = self._starts()
        late = self._late(starts)
        again = collections.Counter(
            number for (_, number, _), entries in starts.items() if len(entries) > 1 for _ in entries[1:]
        )
        confirmed = self._run.load.confirmed
        rounds = {seen.number for seen in self._run.rounds}
        by_round = {number: [0, 0, 0, 0] for number in rounds}
        for call in confirmed:
            row = by_round[call.round]
            row[0] += 1
            row[1] += call.task_id in lost
            row[2] += again.get(call.number, 0)
            row[3] += call.number in late
        print("round  confirmed  lost  duplicated  late  worst delay()  resumed after")
        for seen in self._run.rounds:
            figures = by_round[seen.number]
            resumed = "never" if seen.resumed_after_s is None else f"{seen.resumed_after_s:.2f} s"
            print("{:5} {:10} {:5} {:11} {:5}".format(seen.number, *figures), end="")
            print(f" {seen.worst_delay_s:12.2f} s {resumed:>14}")
        self._judge(lost, changed, wrong, self._late(starts, _STUCK_S))
        refused = self._run.load.refused
        print(
            f"{len(confirmed)} calls confirmed, {refused} refused; lost: {len(lost)}, duplicated: {sum(again.values())}, "
            f"late: {len(late)}, results changed: {len(changed)}, wrong: {len(wrong)}"
        )
        growth = {name: self._after[name] - self._before[name] for name in self._before}
        print(f"memory of a worker: {self._after}, growth {growth}")
        for summary in filter(None, (fault.summary() for fault in self._run.faults)):
            print(summary)
        for call in confirmed:
            if call.task_id in lost:
                lines = [
                    entry for kind, place in KINDS[call.kind][1] for entry in starts.get((kind, call.number, place), ())
                ]
                print(f"lost: {call}; it left {lines}")
        for broken in self._broken:
            print(f"BROKEN: {broken}")
        return 1 if self._broken else 0

    # -- results ------------------------------------------------------------------------------------------------------

    def _ends(self) -> tuple[list[str], list[str], list[str]]:
        """Wait for every end; return the ids of what has none, of what changed afterwards, and of what is not right."""
        backend = self._run.module.app.backend
        calls = {call.task_id: call for call in self._run.load.confirmed}
        left = set(calls)
        deadline = time.monotonic() + min(60.0, self._run.options.timeout)
        while left and time.monotonic() < deadline:
            for meta in backend.wait(sorted(left)[:_BATCH], 1.0):
                left.discard(meta.task_id)
                self._first_seen[meta.task_id] = meta.payload
        changed, wrong = [], []
        ids = sorted(self._first_seen)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            for task_id, meta in zip(batch, backend.load(batch), strict=True):
                if meta is None or meta.payload != self._first_seen[task_id]:
                    changed.append(task_id)
                elif not _is_right(meta.state, meta.payload, calls[task_id]):
                    wrong.append(task_id)
        return sorted(left), changed, wrong

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def _starts(self) -> dict[tuple[str, int, int], list[Entry]]:
        starts: dict[tuple[str, int, int], list[Entry]] = collections.defaultdict(list)
        for entry in self._run.ledger.read():
            starts[entry.kind, entry.number, entry.place].append(entry)
        return starts

    def _late(self, starts: dict[tuple[str, int, int], list[Entry]], allowed_s: float = RESUMED_WITHIN_S) -> set[int]:
        """Return the calls that began so long after they were due and all that they needed had returned."""
        returns = sorted(seen.struck.up_at for seen in self._run.rounds)
        is_held = any(kind.is_held_by_the_dead for kind in self._run.kinds)
        allowed_s += self._run.site.lease_s if is_held else 0.0
        late = set()
        for call in self._run.load.confirmed:
            kind, index = KINDS[call.kind][1][0]
            first = min((entry.at for entry in starts.get((kind, call.number, index), ())), default=None)
            if first is None:
                continue
            since = max([call.due_at, *(moment for moment in returns if moment <= first)])
            if first - since > allowed_s:
                late.add(call.number)
        return late

    # -- promises -----------------------------------------------------------------------------------------------------

    def _judge(self, lost: list[str], changed: list[str], wrong: list[str], stuck: set[int]) -> None:
        # Imported here, since that module needs this one.
        from tests.faults.outages import PUBLISH_TIMEOUT_S

        for what, found in (("lost", lost), ("final results changed", changed), ("wrong results", wrong)):
            if found:
                self._broken.append(f"{what}: {found[:5]}")
        if stuck:
            self._broken.append(f"stuck: {len(stuck)} tasks, such as {sorted(stuck)[:5]}")
        for seen in self._run.rounds:
            if seen.resumed_after_s is None or seen.resumed_after_s > RESUMED_WITHIN_S:
                self._broken.append(f"round {seen.number}: consumption resumed after {seen.resumed_after_s} s")
            if seen.worst_delay_s > PUBLISH_TIMEOUT_S + _GRACE_S:
                self._broken.append(f"round {seen.number}: a call took {seen.worst_delay_s:.2f} s")
            if seen.untold:
                self._broken.append(f"round {seen.number}: the worker's log does not tell {seen.untold}")
        for fault in self._run.faults:
            self._broken += fault.broken()
        for name, most in _GROWTH.items():
            if self._after[name] - self._before[name] > most:
                self._broken.append(f"the worker holds more {name}: {self._before[name]}, then {self._after[name]}")


def _is_right(state: str, payload: bytes, call: Confirmed) -> bool:
    return state == "SUCCESS" and json.loads(payload)["result"]["number"] == call.number
