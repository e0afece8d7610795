"""How a commit is made durable: all at once where broker and store are one database, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from umbel.model import Commit, JoinedChord, Publication, Settlement
from umbel.spi import Committer, JointBackend, JointTransport, ResultBackend, Transport

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Complete", "Declare", "GenericCommitter", "JointCommitter", "build_committer"]

#: Turns a chord whose last part has come in into what is to be sent, stored, and told to the chord around it.
Complete = Callable[[JoinedChord], Commit]
#: Makes sure that the queues of publications exist.
Declare = Callable[[Sequence[Publication]], None]


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
        declare: Declare = lambda publications: None,
    ) -> None:
        self._transport = transport
        self._backend = backend
        self._settle = settle
        self._complete = complete
        self._declare = declare
        self._publish_timeout_s = publish_timeout_s

    def commit(self, commit: Commit) -> None:
        self._write(commit)
        # Chords end chords: each round joins the parts that the ends of the round before have made.
        chords: list[JoinedChord] = commit.extra.setdefault("chords", [])
        ended: Commit = commit.extra.setdefault("ended", commit)
        while ended.parts:
            if not chords:
                chords.extend(_each_once(self._backend.join(ended.parts)))
            following: Commit = ended.extra.get("following") or _merged([self._complete(chord) for chord in chords])
            ended.extra["following"] = following
            self._declare(following.publications)
            self._write(following)
            if chords:
                self._backend.conclude([chord.group_id for chord in chords])
                chords.clear()
            ended = commit.extra["ended"] = following
        if commit.settlement:
            self._settle(commit.settlement)

    def _write(self, commit: Commit) -> None:
        """Publish and store, each once."""
        progress = commit.extra
        if commit.publications and "published" not in progress:
            self._transport.publish(commit.publications, self._publish_timeout_s)
            progress["published"] = True
        if commit.metas and "stored" not in progress:
            self._backend.store(commit.metas)
            progress["stored"] = True

    def close(self) -> None:
        """Nothing of its own to let go of: transport and backend belong to the outflow."""


def _each_once(joined: Sequence[JoinedChord]) -> list[JoinedChord]:
    """Return the chords, without the second answer to a part that came twice in one commit."""
    return list({chord.group_id: chord for chord in joined}.values())


def _merged(commits: Sequence[Commit]) -> Commit:
    merged = Commit()
    for commit in commits:
        merged.publications.extend(commit.publications)
        merged.metas.extend(commit.metas)
        merged.parts.extend(commit.parts)
    return merged


class JointCommitter(Committer):
    """Makes all of a commit in one transaction of the database that is both broker and result store."""

    def __init__(self, transport: JointTransport, backend: JointBackend, complete: Complete) -> None:
        self._transport = transport
        self._backend = backend
        self._complete = complete

    def commit(self, commit: Commit) -> None:
        wakers: list[Callable[[], None] | None] = []
        with self._backend.transaction() as transaction:
            ended, settlement = commit, commit.settlement
            while ended.publications or ended.metas or ended.parts or settlement:
                if ended.publications or settlement:
                    wakers.append(self._transport.write_jointly(transaction, ended.publications, settlement))
                joined: Sequence[JoinedChord] = ()
                if ended.metas or ended.parts:
                    joined, waker = self._backend.store_jointly(transaction, ended.metas, ended.parts)
                    wakers.append(waker)
                ended, settlement = _merged([self._complete(chord) for chord in _each_once(joined)]), Settlement()
        for waker in wakers:
            if waker is not None:
                waker()

    def close(self) -> None:
        """Nothing of its own to let go of: transport and backend belong to the outflow."""


def build_committer(
    app: Umbel,
    transport: Transport,
    backend: ResultBackend,
    settle: Callable[[Settlement], None],
    complete: Complete,
    declare: Declare = lambda publications: None,
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
    return GenericCommitter(transport, backend, settle, complete, app.conf.task_publish_timeout_s, declare)
