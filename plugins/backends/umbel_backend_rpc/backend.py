"""The backend: results go out on one connection and come in on another."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NoReturn

from umbel.exceptions import BackendError, BackendGetMetaError, BackendStoreError, OperationalError
from umbel.model import ChordPart, JoinedChord, Message, Publication, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend, Transport
from umbel.states import ALL_STATES
from umbel_backend_rpc.replies import Replies

__all__ = ["CAPABILITIES", "RpcBackend", "decode", "encode"]

CAPABILITIES: Final = BackendCapabilities(push=True, reads_once=True)

_PUBLISH_TIMEOUT_S: Final = 10.0
_STATUS: Final = re.compile(rb'^\{\s*"status":\s*"([^"]+)"')
#: In other serializers the state stands there too, as text among bytes.
_ANY_STATUS: Final = re.compile("|".join(sorted(ALL_STATES, key=len, reverse=True)).encode())


def encode(meta: TaskMeta, *, persistent: bool) -> Publication:
    """Return *meta* as a message to its caller (``reply_to`` must be set)."""
    properties = {"correlation_id": meta.task_id, "delivery_mode": 2 if persistent else 1}
    message = Message(meta.payload, {}, properties, meta.content_type, meta.content_encoding)
    # No queue is named: a caller that has gone away needs no answer, and its queue must not be made again.
    return Publication(message, None, "", meta.reply_to or "")


def decode(message: Message) -> TaskMeta | None:
    """Return the result in *message*; ``None`` when it is none."""
    task_id = message.properties.get("correlation_id")
    found = _STATUS.match(message.body)
    state = found[1] if found else (found := _ANY_STATUS.search(message.body)) and found[0]
    if not task_id or not state:
        return None
    return TaskMeta(task_id, state.decode(), message.body, message.content_type, message.content_encoding)


class RpcBackend(ResultBackend):
    """See :class:`~umbel.spi.ResultBackend`. A process that only sends results never makes a queue of its own."""

    capabilities: ClassVar[BackendCapabilities] = CAPABILITIES

    def __init__(self, app: Any) -> None:
        self._app = app
        self._persistent = bool(app.conf.result_persistent)
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._timeout_s = 4.0
        self._replies: Replies | None = None

    def open(self, timeout_s: float) -> None:
        """Connect."""
        self._timeout_s = timeout_s
        with self._lock:
            if self._transport is None:
                try:
                    self._transport = self._app.open_transport(timeout_s)
                except OperationalError as error:
                    raise BackendError(f"cannot open the result backend rpc://: {error}") from error

    def close(self) -> None:
        """Disconnect; the queue of replies goes with it."""
        with self._lock:
            replies, self._replies = self._replies, None
            transport, self._transport = self._transport, None
        if replies is not None:
            replies.close()
        if transport is not None:
            transport.close()

    @property
    def reply_to(self) -> str:
        """The name of this process's queue of replies, which exists from now on."""
        return self._listening().address

    def _listening(self) -> Replies:
        with self._lock:
            if self._transport is None:
                raise BackendGetMetaError("the result backend rpc:// is not open: call open() first")
            if self._replies is None:
                self._replies = Replies(
                    lambda: self._app.open_transport(self._timeout_s), decode, expires_s=self._app.conf.result_expires
                )
            return self._replies

    # -- sending ------------------------------------------------------------------------------------------------------

    def store(self, metas: Sequence[TaskMeta]) -> None:
        """Send each to its caller; those without one are nobody's."""
        messages = [encode(meta, persistent=self._persistent) for meta in metas if meta.reply_to]
        if not messages:
            return
        with self._lock:
            for is_last_try in (False, True):
                transport = self._transport
                try:
                    if transport is None:
                        transport = self._app.open_transport(self._timeout_s)
                        self._transport = transport
                    transport.publish(messages, _PUBLISH_TIMEOUT_S)
                    return
                except OperationalError as error:
                    self._transport = None
                    if transport is not None:
                        transport.close()
                    if is_last_try:
                        first = metas[0]
                        raise BackendStoreError(str(error), task_id=first.task_id, state=first.state) from error

    # -- receiving ----------------------------------------------------------------------------------------------------

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        """Return what has come in so far of *ids*."""
        if not ids:
            return []
        replies = self._listening()
        replies.wait((), 0)
        return [replies.find(task_id) for task_id in ids]

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        """Block until one of *ids* is final."""
        return self._listening().wait(ids, timeout_s)

    def forget(self, ids: Sequence[str]) -> None:
        """Drop what came in of *ids*."""
        if self._replies is not None:
            self._replies.forget(ids)

    def expire(self, before: float) -> int:
        """Nothing: what nobody fetches goes with its queue."""
        return 0

    # -- what needs a store -------------------------------------------------------------------------------------------

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        """Refuse."""
        _refuse("save a group")

    def load_group(self, group_id: str) -> bytes | None:
        """Refuse."""
        _refuse("restore a group")

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        """Refuse: results go to their caller alone, so no worker can count a chord's."""
        if parts:
            _refuse("count a chord")
        return ()


def _refuse(doing: str) -> NoReturn:
    raise BackendError(
        f"expected a result backend that keeps results to {doing}, got rpc://, which sends them to their caller; "
        "set result_backend, for example to redis://localhost"
    )
