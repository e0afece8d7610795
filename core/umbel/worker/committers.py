"""How a commit is made durable: all at once where broker and store are one database, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from umbel.model import Commit, JoinedChord, Publication, Settlement, TaskMeta
from umbel.spi import Committer, JointBackend, JointTransport, ResultBackend, Transport

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Complete", "GenericCommitter", "JointCommitter", "build_committer"]

#: Turns a chord whose last part has come in into what is to be sent and stored.
Complete = Callable[[JoinedChord], tuple[Sequence[Publication], Sequence[TaskMeta]]]


class GenericCommitter(Committer):
    """Publishes, stores, joins, settles, in that order, so that a crash in between repeats work and loses none.

    A commit that is repeated after an error goes on where it stopped: what was certainly published is not published
    again. *settle* brings acknowledgements to the broker: the transport's, or the intake's where only the consumer may.
    """

    def __init__(
        self,
        transport: Transport,
        backend: ResultBackend,
        settle: Callable[[Settlement], None],
        complete: Complete,
        publish_timeout_s: float,
    ) -> None:
        self._transport = transport
        self._backend = backend
        self._settle = settle
        self._complete = complete
        self._publish_timeout_s = publish_timeout_s

    def commit(self, commit: Commit) -> None:
        progress = commit.extra
        if commit.publications and "published" not in progress:
            self._transport.publish(commit.publications, self._publish_timeout_s)
            progress["published"] = True
        if commit.metas and "stored" not in progress:
            self._backend.store(commit.metas)
            progress["stored"] = True
        if commit.parts and "joined" not in progress:
            self._join(commit)
            progress["joined"] = True
        if commit.settlement:
            self._settle(commit.settlement)

    def _join(self, commit: Commit) -> None:
        for joined in self._backend.join(commit.parts):
            publications, metas = self._complete(joined)
            if publications:
                self._transport.publish(publications, self._publish_timeout_s)
            if metas:
                self._backend.store(metas)

    def close(self) -> None:
        """Nothing of its own to let go of: transport and backend belong to the outflow."""


class JointCommitter(Committer):
    """Makes all of a commit in one transaction of the database that is both broker and result store."""

    def __init__(self, transport: JointTransport, backend: JointBackend, complete: Complete) -> None:
        self._transport = transport
        self._backend = backend
        self._complete = complete

    def commit(self, commit: Commit) -> None:
        wakers: list[Callable[[], None] | None] = []
        with self._backend.transaction() as transaction:
            wakers.append(self._transport.write_jointly(transaction, commit.publications, commit.settlement))
            if commit.metas or commit.parts:
                joined, waker = self._backend.store_jointly(transaction, commit.metas, commit.parts)
                wakers.append(waker)
                for chord in joined:
                    self._write_body(transaction, chord, wakers)
        for waker in wakers:
            if waker is not None:
                waker()

    def _write_body(self, transaction: Any, chord: JoinedChord, wakers: list[Callable[[], None] | None]) -> None:
        publications, metas = self._complete(chord)
        if publications:
            wakers.append(self._transport.write_jointly(transaction, publications, Settlement()))
        if metas:
            wakers.append(self._backend.store_jointly(transaction, metas, ())[1])

    def close(self) -> None:
        """Nothing of its own to let go of: transport and backend belong to the outflow."""


def build_committer(
    app: Umbel,
    transport: Transport,
    backend: ResultBackend,
    settle: Callable[[Settlement], None],
    complete: Complete,
) -> Committer:
    """Return the committer for *transport* and *backend*: an extension's, the joint one, or the general one."""
    offered = app.host.committer(app, transport, backend)
    if offered is not None:
        return offered
    if (
        isinstance(transport, JointTransport)
        and isinstance(backend, JointBackend)
        and transport.store_identity == backend.store_identity
    ):
        return JointCommitter(transport, backend, complete)
    return GenericCommitter(transport, backend, settle, complete, app.conf.task_publish_timeout_s)
