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
from typing import TYPE_CHECKING, NamedTuple

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


class Report(NamedTuple):
    """Something else than an outcome that the pool said of a job: *what* is ``lost``, ``timed_out`` or ``terminated``."""

    what: str
    job_id: int
    detail: str


#: What comes from the pool: outcomes, or one of its other reports; or an ending from elsewhere; ``None`` ends the belt.
Item = Sequence[tuple[int, bytes]] | Ending | Report | None

_MOST = 512  # messages in one commit: large enough to be cheap, small enough to be quick
_TRIES_BEFORE_TAKING_APART = 3
_TRIES_OF_ONE = 5


@attrs.define(eq=False)
class Batch:
    """What one commit is made of: plain acknowledgements, and everything else."""

    acks: list[Held] = attrs.field(factory=list)
    endings: list[Ending] = attrs.field(factory=list)
    _steps: list[Commit] | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.acks) + len(self.endings)

    def steps(self) -> list[Commit]:
        """Return the commits that are still to be made, made once: whoever makes one removes it."""
        if self._steps is None:
            first = merge(self.acks, self.endings)
            is_empty = not (first.publications or first.metas or first.parts or first.settlement)
            requeues = [Commit(settlement=settlement) for settlement in requeue_settlements(self.endings)]
            self._steps = requeues if is_empty else [first, *requeues]
        return self._steps

    def extend(self, other: Batch) -> None:
        """Take in what *other* holds."""
        self._steps = None
        self.acks.extend(other.acks)
        self.endings.extend(other.endings)

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
        self._backoff = Backoff(0.05, 2.0)
        self._thread: threading.Thread | None = None
        self._give_up_at: float | None = None
        self._hurry = threading.Event()
        self._uncommitted = 0
        self._suspects: list[tuple[Ending, int]] = []
        self._suspects_at = 0.0
        self._successes = 0
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
            self._uncommitted = len(batch) + len(self._suspects)
            if batch and not self._commit(batch):
                break
            if self._suspects and (ended or time.monotonic() >= self._suspects_at):
                self._retry_suspects()
            self._uncommitted = len(self._suspects)
        self._line.close()

    def _collect(self, batch: Batch) -> bool:
        """Wait for the first item, take what else is there up to a bound; say whether the end was asked for."""
        inbox = self._inbox
        try:
            item = inbox.get(timeout=max(0.0, self._suspects_at - time.monotonic()) if self._suspects else None)
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
                batch = self._take_apart(batch, is_hopeless=tries > 2 * _TRIES_OF_ONE)
                if not batch:
                    return True
            self._note_trouble(error)
            if not self._pause():
                logger.error("gave up %d uncommitted ends at shutdown; their messages go back", len(batch))
                self._uncommitted = len(batch) + len(self._suspects)
                return False

    def _try(self, batch: Batch) -> Exception | None:
        try:
            steps = batch.steps()
            while steps:
                self._line.commit(steps[0])
                del steps[0]
        except Exception as error:
            if isinstance(error, OperationalError | OSError):
                self._line.reset()
            return error
        self._finish(batch)
        return None

    def _finish(self, batch: Batch) -> None:
        self._successes += 1
        if self.trouble is not None:
            logger.warning("commits go through again, after: %s", self.trouble)
            self.trouble = None
            self._backoff.reset()
        for ending in batch.endings:
            if ending.after is not None:
                try:
                    ending.after()
                except Exception:
                    logger.exception("what was to follow a commit raised")
        self._committed(len(batch))

    # -- when a commit fails for what is in it ------------------------------------------------------------------------

    def _take_apart(self, batch: Batch, *, is_hopeless: bool) -> Batch:
        """Commit each part alone and return what is left because broker or store are down.

        A part that is to blame itself is replaced by its failure; one that the store refuses while it takes others is
        set aside, to be tried again beside the traffic.
        """
        parts = batch.split()
        refused: list[Batch] = []
        left = Batch()
        went_through = 0
        while parts:
            part = parts.pop(0)
            problem = self._try(part)
            if problem is not None and not _is_outage(problem):
                problem = self._replace(part, problem, is_hopeless=is_hopeless)
            if problem is None:
                went_through += 1
            elif isinstance(problem, BackendError) and part.endings:
                refused.append(part)
                if len(refused) > 2 + went_through:
                    break
            else:
                left.extend(part)
                if isinstance(problem, OperationalError):
                    break
        if went_through or (len(refused) == 1 and not parts and not left):
            for part in refused:
                self._suspect(part.endings[0])
        else:
            for part in refused:
                left.extend(part)
        for part in parts:
            left.extend(part)
        return left

    def _replace(self, part: Batch, problem: Exception, *, is_hopeless: bool) -> Exception | None:
        """Commit the failure of the one ending in *part*, else give its message back; return why that is not possible."""
        if part.acks:
            if not is_hopeless:
                return problem
            logger.critical("%d acknowledgements cannot be made; their messages will come again", len(part.acks))
            return None
        ending = part.endings[0]
        held = ending.held
        what = f"{held.name}[{held.task_id}]" if held is not None else "a message"
        logger.error("the end of %s cannot be committed and is replaced by its failure: %r", what, problem)
        try:
            spoilt: Exception | None = self._try(Batch([], [self._spoil(ending, problem)]))
        except Exception as error:
            spoilt = error
        if spoilt is None or _is_outage(spoilt):
            return spoilt
        logger.critical("not even the failure of %s can be committed; its message goes back: %r", what, spoilt)
        back = attrs.evolve(ending, publications=(), metas=(), parts=(), verdict=Verdict.REQUEUE, after=None)
        return self._try(Batch([], [back]))

    def _suspect(self, ending: Ending) -> None:
        self._suspects.append((ending, self._successes))
        self._suspects_at = time.monotonic() + 1.0

    def _retry_suspects(self) -> None:
        """Try each ending that the store refused once more; replace it when the store takes all others meanwhile."""
        suspects, self._suspects = self._suspects, []
        for ending, successes in suspects:
            part = Batch([], [ending])
            problem = self._try(part)
            if problem is None:
                continue
            ending.failures += 1 if self._successes > successes else 0
            if not _is_outage(problem) or ending.failures >= _TRIES_OF_ONE:
                problem = self._replace(part, problem, is_hopeless=True)
            if problem is not None:
                self._suspect(ending)

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
