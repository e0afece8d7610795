"""The store: Celery's keys, documents and channels."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from umbel.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, JointBackend, ResultBackend
from umbel.states import READY_STATES
from umbel_backend_redis.connection import Connections
from umbel_backend_redis.scripts import JOIN, STORE
from umbel_backend_redis.settings import RedisBackendSettings
from umbel_backend_redis.waiting import Channels
from umbel_library_redis.dialing import identity_of

__all__ = ["CAPABILITIES", "RedisBackend"]

CAPABILITIES = BackendCapabilities(push=True, durable=True, many_processes=True, expires=True)

_STATUS = re.compile(rb'^\{"status":\s*"([^"]+)"')
_ANY_STATUS = re.compile(b"(" + b"|".join(state.encode() for state in READY_STATES) + b")")
#: A chord's member as Celery writes it: ``[1, "<task id>", "<state>", <encoded result>]``.
_MEMBER = re.compile(rb'^\[1, "([^"]*)", "([^"]*)", (.*)\]$', re.DOTALL)
_BATCH = 500


class RedisBackend(ResultBackend, JointBackend):
    """See :class:`~umbel.spi.ResultBackend`."""

    capabilities: ClassVar[BackendCapabilities] = CAPABILITIES

    def __init__(self, url: str, settings: RedisBackendSettings) -> None:
        self._url = url
        self._settings = settings
        self._connections = Connections(url, settings)
        self._channels: Channels | None = None
        self._prefix = settings.global_keyprefix

    @property
    def store_identity(self) -> str:
        """The server and database; equal for the Redis transport on the same URL."""
        return identity_of(self._url, self._settings.master_name, self._settings.global_keyprefix)

    def open(self, timeout_s: float) -> None:
        """Connect."""
        if self._channels is None:
            self._connections.open(timeout_s)
            self._channels = Channels(self._connections.new, self._connections.masked)

    def close(self) -> None:
        """Disconnect."""
        if self._channels is not None:
            self._channels.close()
            self._channels = None
        self._connections.close()

    # -- results ------------------------------------------------------------------------------------------------------

    def store(self, metas: Sequence[TaskMeta]) -> None:
        """Write and publish, one script for up to 500 results."""
        for start in range(0, len(metas), _BATCH):
            batch = metas[start : start + _BATCH]
            keys, arguments = self._store_arguments(batch)
            try:
                with self._connections.lent() as connection:
                    self._connections.run(connection, STORE, keys, arguments)
            except BackendError as error:
                raise BackendStoreError(str(error), task_id=batch[0].task_id, state=batch[0].state) from error

    def _store_arguments(self, metas: Sequence[TaskMeta]) -> tuple[list[str], list[Any]]:
        keys: list[str] = []
        arguments: list[Any] = []
        for meta in metas:
            key = self._key(meta.task_id)
            plain = meta.content_type == "application/json" and _STATUS.match(meta.payload) is not None
            note = (
                ""
                if plain and not meta.attempt
                else f"{meta.state} {meta.attempt} {meta.content_type} {meta.content_encoding}"
            )
            keys += [key, f"{key}.note"]
            expires_s = int(meta.expires_s) if meta.expires_s else 0
            arguments += [meta.state, meta.attempt, int(meta.is_final), expires_s, meta.payload, note]
        return keys, arguments

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        """Read with MGET."""
        found: list[TaskMeta | None] = []
        try:
            with self._connections.lent() as connection:
                for start in range(0, len(ids), _BATCH):
                    batch = ids[start : start + _BATCH]
                    found += self._metas(batch, self._connections.call(connection, *self._question(batch)))
        except BackendError as error:
            raise BackendGetMetaError(str(error), task_id=ids[0] if ids else "") from error
        return found

    def _question(self, ids: Sequence[str]) -> Sequence[str]:
        """Return the command that asks for the documents of *ids* and what Umbel notes beside them."""
        keys = [self._key(task_id) for task_id in ids]
        return ("MGET", *keys, *(f"{key}.note" for key in keys))

    def _metas(self, ids: Sequence[str], values: Sequence[Any]) -> list[TaskMeta | None]:
        """Read the answer to :meth:`_question`."""
        return [
            None if payload is None else self._meta(task_id, payload, note)
            for task_id, payload, note in zip(ids, values, values[len(ids) :], strict=False)
        ]

    def _meta(self, task_id: str, payload: bytes, note: bytes | None) -> TaskMeta:
        if note is not None:
            state, attempt, content_type, encoding = note.decode().split(" ")
            return TaskMeta(task_id, state, payload, content_type, encoding, int(attempt))
        plain = _STATUS.match(payload)
        if plain is not None:
            return TaskMeta(task_id, plain[1].decode(), payload)
        found = _ANY_STATUS.search(payload)  # a foreign worker's, in its own serializer
        state = found[1].decode() if found else "PENDING"
        content_type = "application/x-python-serialize" if payload[:1] == b"\x80" else "application/x-msgpack"
        if payload[:1] == b"{":
            content_type = "application/json"
        return TaskMeta(task_id, state, payload, content_type, "utf-8" if payload[:1] == b"{" else "binary")

    def forget(self, ids: Sequence[str]) -> None:
        """Delete."""
        if not ids:
            return
        keys = [self._key(task_id) for task_id in ids]
        with self._connections.lent() as connection:
            self._connections.call(connection, "DEL", *keys, *(f"{key}.note" for key in keys))

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        """Subscribe, look, and wait for the push; subscribe anew, once, when the connection is lost."""
        deadline = time.monotonic() + timeout_s
        try:
            return self._wait(ids, deadline)
        except BackendError:
            if self._channels is None or self._channels.closed or time.monotonic() >= deadline:
                raise
        return self._wait(ids, deadline)

    def _wait(self, ids: Sequence[str], deadline: float) -> Sequence[TaskMeta]:
        channels = self._channels
        if channels is None:
            raise BackendGetMetaError("the result store is not open: call open() first")
        question = self._question(ids) if len(ids) <= _BATCH else None
        waiter = channels.join([self._key(task_id).encode() for task_id in ids], question)
        try:
            if not channels.wait(waiter, lambda: waiter.is_in, deadline):
                return self._final(ids) if not channels.closed else ()
            ready = self._final(ids) if waiter.answer is None else _final(self._metas(ids, waiter.answer))
            while not ready and channels.wait(waiter, lambda: waiter.rang, deadline):
                if len(ids) == 1 and (pushed := self._pushed(ids[0], waiter.last)) is not None:
                    return [pushed]
                waiter.rang = False
                ready = self._final(ids)
            return ready
        finally:
            channels.leave(waiter)

    @staticmethod
    def _pushed(task_id: str, document: bytes) -> TaskMeta | None:
        """Return a final result out of its own announcement, which saves asking for it; ``None``: ask.

        What begins as Celery's JSON does is read as JSON, as Celery's own clients do.
        """
        plain = _STATUS.match(document)
        if plain is None or (state := plain[1].decode()) not in READY_STATES:
            return None
        return TaskMeta(task_id, state, document)

    def _final(self, ids: Sequence[str]) -> list[TaskMeta]:
        return _final(self.load(ids))

    def expire(self, before: float) -> int:
        """Nothing: the server does it."""
        return 0

    def _key(self, task_id: str) -> str:
        return f"{self._prefix}celery-task-meta-{task_id}"

    # -- groups and chords --------------------------------------------------------------------------------------------

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        """Keep a group's document."""
        key = self._group(group_id)
        command: tuple[Any, ...] = ("DEL", key)
        if payload is not None:
            command = ("SETEX", key, int(expires_s), payload) if expires_s else ("SET", key, payload)
        with self._connections.lent() as connection:
            self._connections.call(connection, *command)

    def load_group(self, group_id: str) -> bytes | None:
        """Return a group's document."""
        with self._connections.lent() as connection:
            payload: bytes | None = self._connections.call(connection, "GET", self._group(group_id))
        return payload

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        """Count the parts in, as Celery 5.7 does, up to 500 in one write."""
        joined = []
        with self._connections.lent() as connection:
            for start in range(0, len(parts), _BATCH):
                batch = parts[start : start + _BATCH]
                answers = self._connections.run_many(connection, JOIN, [self._join_arguments(part) for part in batch])
                for part, members in zip(batch, answers, strict=True):
                    if members:
                        pairs = zip(members[::2], members[1::2], strict=True)
                        ordered = [self._part(part, member, score) for member, score in pairs]
                        joined.append(JoinedChord(part.group_id, ordered, part.body))
        return joined

    def conclude(self, group_ids: Sequence[str]) -> None:
        """Mark the chords as done and remove their members, as Celery 5.7 does."""
        with self._connections.lent() as connection:
            self._connections.transact(connection, self._conclusions(group_ids))

    def _conclusions(self, group_ids: Sequence[str]) -> list[Any]:
        commands: list[Any] = []
        for group_id in group_ids:
            group = self._group(group_id)
            commands.append(("SET", f"{group}.c", "done", "EX", int(self._settings.chord_kept_s)))
            commands.append(("DEL", *(f"{group}.{letter}" for letter in "jstd")))
        return commands

    def _join_arguments(self, part: ChordPart) -> tuple[list[str], list[Any]]:
        group = self._group(part.group_id)
        member = b'[1, "%b", "%b", %b]' % (part.task_id.encode(), part.state.encode(), part.payload)
        score = "+inf" if part.index is None else part.index
        size = "" if part.size is None else part.size
        expires_s = int(part.expires_s) if part.expires_s else 0
        name = f"{part.task_id}:{'' if part.index is None else part.index}"
        keys = [f"{group}.{letter}" for letter in "jstdc"]
        return keys, [part.task_id, score, member, size, expires_s, int(self._settings.chord_kept_s), name, part.extra]

    @staticmethod
    def _part(of: ChordPart, member: bytes, score: bytes) -> ChordPart:
        found = _MEMBER.match(member)
        if found is None:
            raise BackendGetMetaError(f"chord {of.group_id}: expected [1, id, state, result], got {member[:80]!r}")
        task_id, state, payload = found.groups()
        index = None if score == b"inf" else int(float(score))
        return ChordPart(of.group_id, task_id.decode(), index, state.decode(), payload, of.body, of.size)

    def _group(self, group_id: str) -> str:
        return f"{self._prefix}celery-taskset-meta-{group_id}"

    # -- one transaction with the transport ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[list[Any]]:
        """Collect commands and run them in one MULTI when the block ends."""
        commands: list[Any] = []
        yield commands
        if commands:
            try:
                with self._connections.lent() as connection:
                    self._connections.transact(connection, commands)
            except BackendError as error:
                raise BackendStoreError(str(error)) from error

    def store_jointly(
        self, transaction: Any, metas: Sequence[TaskMeta], parts: Sequence[ChordPart]
    ) -> tuple[Sequence[JoinedChord], Callable[[], None] | None]:
        """Add the results to the commands; join at once, since a join that is repeated answers the same."""
        for start in range(0, len(metas), _BATCH):
            keys, arguments = self._store_arguments(metas[start : start + _BATCH])
            transaction.append(("EVAL", STORE, len(keys), *keys, *arguments))
        joined = self.join(parts) if parts else ()
        transaction.extend(self._conclusions([chord.group_id for chord in joined]))
        return joined, None


def _final(metas: Sequence[TaskMeta | None]) -> list[TaskMeta]:
    return [meta for meta in metas if meta is not None and meta.is_final]
