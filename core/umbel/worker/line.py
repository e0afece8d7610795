"""The outflow's connection to broker and result store."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from umbel.canvas.chords import chord_body
from umbel.exceptions import BackendError
from umbel.model import Commit, JoinedChord, Publication, Queue, Settlement
from umbel.spi import Committer, Transport
from umbel.worker.committers import build_committer

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["CommitLine"]

logger = logging.getLogger("umbel.worker.outflow")


class CommitLine:
    """Opens a transport and a committer when they are needed, and again after they were lost. Used by one thread.

    *hand_over* takes settlements for transports whose deliveries only their consumer can settle.
    """

    def __init__(self, app: Umbel, hand_over: Callable[[Settlement], None]) -> None:
        self._app = app
        self._hand_over = hand_over
        self._transport: Transport | None = None
        self._committer: Committer | None = None
        self._declared: set[str] = set()
        self._over: list[str] = []

    def commit(self, commit: Commit) -> None:
        """Make *commit* durable. Any error leaves it to be repeated, after :meth:`reset` when the line is lost."""
        committer = self._committer or self._connect()
        if commit.publications:
            self._declare(commit.publications)
        committer.commit(commit)
        while self._over:
            self._app.workflows.records.let_expire(self._over.pop())

    def _connect(self) -> Committer:
        transport = self._transport = self._app.open_transport()
        settle = transport.settle if transport.capabilities.settle_from_any_connection else self._hand_over
        self._committer = build_committer(
            self._app, transport, self._app.backend_for(None), settle, self._complete, self._declare
        )
        return self._committer

    def _declare(self, publications: Sequence[Publication]) -> None:
        """See to it that the queues exist: a parked queue, or one that only a task in the pool has named."""
        new: dict[str, Queue] = {}
        for publication in publications:
            queue = publication.queue
            if queue is not None and queue.name not in self._declared:
                new[queue.name] = queue
        if new and self._transport is not None:
            self._transport.declare(list(new.values()))
            self._declared.update(new)

    def _complete(self, joined: JoinedChord) -> Commit:
        try:
            ended = chord_body(self._app, joined)
            self._over.extend(ended.extra.pop("records", ()))
            return ended
        except BackendError:  # the body's definition is in a store that does not answer: the commit is repeated
            raise
        except Exception:  # a body that cannot be read must not hold up the members' own results
            logger.exception("the body of chord %s cannot be read", joined.group_id)
            return Commit()

    def reset(self) -> None:
        """Throw the connections away; the next commit makes new ones."""
        committer, self._committer = self._committer, None
        transport, self._transport = self._transport, None
        self._declared.clear()
        for each in (committer, transport):
            if each is not None:
                with contextlib.suppress(Exception):  # it is lost already
                    each.close()

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        self.reset()
