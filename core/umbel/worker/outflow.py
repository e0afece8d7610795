"""The belt that carries ends away: it collects outcomes and makes them durable, one commit for as many as there are.

The thread owns a transport, a result backend and a committer of its own. When broker or store fail, the commit is kept
and repeated with growing pauses for as long as it takes: nothing is lost, and :attr:`Outflow.is_healthy` says the truth
meanwhile. A commit that fails for what is in it is taken apart, so that one bad result holds up no other.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from umbel.exceptions import BackendError, OperationalError
from umbel.model import Commit
from umbel.worker.backoff import Backoff
from umbel.worker.endings import Ending, Verdict, merge, requeue_settlements
from umbel.worker.held import Held

if TYPE_CHECKING:
    from umbel.worker.line import CommitLine

__all__ = ["Batch", "Outflow", "Report"]

logger = logging.getLogger("umbel.worker.outflow")

#: What comes from the pool: outcomes, or one of its other reports; or an ending from elsewhere.
Report = tuple[str, int, str]
Item = Sequence[tuple[int, bytes]] | Ending | Report | None

_MOST = 512  # messages in one commit: large enough to be cheap, small enough to be quick
_TRIES_BEFORE_TAKING_APART = 3
_TRIES_OF_ONE = 5


@attrs.define(eq=False)
class Batch:
    """What one commit is made of: plain acknowledgements, and everything else."""

    acks: list[Held] = attrs.field(factory=list)
    endings: list[Ending] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self.acks) + len(self.endings)

    def split(self) -> list[Batch]:
        """Return the parts that can be committed one by one."""
        alone = [Batch([], [ending]) for ending in self.endings]
        return [Batch(self.acks, []), *alone] if self.acks else alone


class Outflow:
    """Takes items from any thread with :meth:`put` and commits them in its own.

    *line* is the connection to broker and store; *translate* turns a pool's item into acknowledgements and endings
    (called in the outflow's thread); *spoil* gives the ending of a task whose own ending cannot be committed;
    *committed* is called after each commit with the number of messages that ended.
    """

    def __init__(
        self,
        line: CommitLine,
        translate: Callable[[Item, Batch], None],
        spoil: Callable[[Ending, Exception], Ending],
        committed: Callable[[int], None],
    ) -> None:
        self._line = line
        self._translate = translate
        self._spoil = spoil
        self._committed = committed
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        #: Puts an item on the belt; any thread, never blocks.
        self.put = self._inbox.put
        self._backoff = Backoff(0.05, 5.0)
        self._thread: threading.Thread | None = None
        self._give_up_at: float | None = None
        self._hurry = threading.Event()
        self._uncommitted = 0
        self._later: list[Ending] = []
        self._later_at = 0.0
        #: Why the last commit failed; ``None`` while all is well.
        self.trouble: str | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether the last commit went through."""
        return self.trouble is None

    def backlog(self) -> int:
        """Return about how many items wait for their commit."""
        return self._inbox.qsize() + self._uncommitted

    def start(self) -> None:
        """Start the thread; it connects when there is something to commit."""
        self._give_up_at = None
        self._hurry.clear()
        self._thread = threading.Thread(target=self._run, name="umbel-outflow", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> int:
        """Commit what was put before, for at most *timeout_s*, end the thread, and return what is left undone.

        What is left was not acknowledged: its messages go back to the broker, so it is repeated and not lost.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return 0
        self._give_up_at = time.monotonic() + timeout_s
        self._hurry.set()
        self.put(None)
        thread.join(timeout_s + 5.0)
        return self.backlog()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything put so far is durable, at most *timeout_s*; say whether it is."""
        if self._thread is None:
            return True
        done = threading.Event()
        self.put(Ending(after=done.set))
        return done.wait(timeout_s)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = Batch()
            ended = self._collect(batch)
            if ended or (self._later and time.monotonic() >= self._later_at):
                batch.endings.extend(self._later)
                self._later.clear()
            self._uncommitted = len(batch)
            if batch and not self._commit(batch):
                break
            self._uncommitted = 0
        self._line.close()

    def _collect(self, batch: Batch) -> bool:
        """Wait for the first item, take what else is there up to a bound; say whether the end was asked for."""
        inbox = self._inbox
        try:
            item = inbox.get(timeout=max(0.0, self._later_at - time.monotonic()) if self._later else None)
            while item is not None:
                self._add(item, batch)
                if len(batch) >= _MOST:
                    return False
                item = inbox.get_nowait()
        except queue.Empty:
            return False
        return True

    def _add(self, item: Item, batch: Batch) -> None:
        try:
            self._translate(item, batch)
        except Exception:
            logger.critical("an outcome could not be read; its message will go back", exc_info=True)

    def _commit(self, batch: Batch) -> bool:
        """Commit *batch*, however long it takes; return false when the worker's end left no time for it."""
        tries = 0
        while True:
            error = self._try(batch)
            if error is None:
                return True
            tries += 1
            if not _is_outage(error) or (isinstance(error, BackendError) and tries > _TRIES_BEFORE_TAKING_APART):
                batch = self._take_apart(batch)
                if not batch:
                    return True
            self._note_trouble(error)
            if not self._pause():
                logger.error("gave up %d uncommitted ends at shutdown; their messages go back", len(batch))
                self._uncommitted = len(batch)
                return False

    def _try(self, batch: Batch) -> Exception | None:
        try:
            commit = merge(batch.acks, batch.endings)
            if commit.publications or commit.metas or commit.parts or commit.settlement:
                self._line.commit(commit)
            for settlement in requeue_settlements(batch.endings):
                self._line.commit(Commit(settlement=settlement))
        except Exception as error:
            if isinstance(error, OperationalError | OSError):
                self._line.reset()
            return error
        self._finish(batch)
        return None

    def _finish(self, batch: Batch) -> None:
        if self.trouble is not None:
            logger.info("commits go through again, after: %s", self.trouble)
            self.trouble = None
            self._backoff.reset()
        for ending in batch.endings:
            if ending.after is not None:
                try:
                    ending.after()
                except Exception:
                    logger.exception("what was to follow a commit raised")
        self._committed(len(batch))

    def _take_apart(self, batch: Batch) -> Batch:
        """Commit each part alone; return all that is left when broker or store are down, else what was replaced."""
        parts = batch.split()
        failed: list[tuple[Batch, Exception]] = []
        went_through = 0
        while parts:
            part = parts.pop(0)
            problem = self._try(part)
            if problem is None:
                went_through += 1
                continue
            failed.append((part, problem))
            if isinstance(problem, OperationalError) or (_is_outage(problem) and len(failed) > 2 + went_through):
                break
        left = Batch()
        for part, problem in failed:
            self._judge(part, problem, left, is_alive=went_through > 0)
        for part in parts:
            left.acks.extend(part.acks)
            left.endings.extend(part.endings)
        return left

    def _judge(self, part: Batch, problem: Exception, left: Batch, *, is_alive: bool) -> None:
        """Replace an ending that is to blame itself; keep the others, aside when broker and store are alive."""
        left.acks.extend(part.acks)
        for ending in part.endings:
            ending.failures += 1 if is_alive or not _is_outage(problem) else 0
            if not _is_outage(problem) or ending.failures >= _TRIES_OF_ONE:
                left.endings.append(self._replace(ending, problem))
            elif is_alive:
                self._later.append(ending)
                self._later_at = time.monotonic() + 1.0
            else:
                left.endings.append(ending)

    def _replace(self, ending: Ending, problem: Exception) -> Ending:
        held = ending.held
        what = f"{held.name}[{held.task_id}]" if held is not None else "a message"
        if ending.is_replaced:
            logger.critical("not even the failure of %s can be committed; its message goes back: %r", what, problem)
            return attrs.evolve(ending, publications=(), metas=(), parts=(), verdict=Verdict.REQUEUE)
        logger.error("the end of %s cannot be committed and is replaced by its failure: %r", what, problem)
        try:
            spoiled = self._spoil(ending, problem)
        except Exception:
            logger.exception("no failure could be made for %s; its message goes back", what)
            spoiled = Ending(held, Verdict.REQUEUE)
        spoiled.is_replaced = True
        return spoiled

    def _note_trouble(self, error: Exception) -> None:
        if self.trouble is None:
            logger.error("results and acknowledgements cannot be committed, trying again: %s", error)
        else:
            logger.debug("commit failed again: %s", error)
        self.trouble = str(error) or repr(error)

    def _pause(self) -> bool:
        """Wait before the next try; say whether there is to be one."""
        pause_s = self._backoff.next_s()
        if self._give_up_at is None:
            self._hurry.wait(pause_s)
            return True
        left_s = self._give_up_at - time.monotonic()
        time.sleep(max(0.0, min(pause_s, left_s, 0.2)))
        return left_s > 0


def _is_outage(error: Exception) -> bool:
    """Say whether *error* is about broker or store, which may come back, and not about what was to be written."""
    return isinstance(error, OperationalError | BackendError | OSError)
