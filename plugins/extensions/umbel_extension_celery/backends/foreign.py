"""A result backend written for Celery, as Umbel asks for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, Final

from umbel.exceptions import ImproperlyConfigured
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.protocol.results import encode_meta
from umbel.results import result_from_tuple
from umbel.spi import BackendCapabilities, ResultBackend
from umbel.states import PENDING, READY_STATES, SUCCESS

__all__ = ["ForeignBackend"]

#: Between two looks for a result: the first, and the longest.
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5


class ForeignBackend(ResultBackend):
    """Keeps states in *backend*, an object with Celery's methods; chords in *companion*, a backend of Umbel's.

    A store that was written for Celery cannot count the members of a chord as a set, which is what lets a member that
    runs twice count once. So the counting is left to *companion*: the store that belongs to the broker. Without one,
    chords are refused. Waiting looks again and again, at most twice a second.
    """

    capabilities: ClassVar[BackendCapabilities] = BackendCapabilities(durable=True, many_processes=True)

    def __init__(self, app: Any, backend: Any, companion: ResultBackend | None) -> None:
        self.backend = backend
        self._app = app
        self._companion = companion
        self._closed = threading.Event()

    def open(self, timeout_s: float) -> None:
        self._closed.clear()
        if self._companion is not None:
            self._companion.open(timeout_s)

    def close(self) -> None:
        self._closed.set()
        if self._companion is not None:
            self._companion.close()
        self.backend.process_cleanup()

    # -- states -------------------------------------------------------------------------------------------------------

    def store(self, metas: Sequence[TaskMeta]) -> None:
        for meta in metas:
            if self.backend.get_state(meta.task_id) == SUCCESS:
                continue
            document = self._app.results.decode(meta)
            self.backend.store_result(
                meta.task_id, document.result, document.status, traceback=document.traceback, request=_request(document)
            )

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        return [self._load(task_id) for task_id in ids]

    def _load(self, task_id: str) -> TaskMeta | None:
        meta = self.backend.get_task_meta(task_id, cache=False)
        if meta is None or meta.get("status", PENDING) == PENDING:
            return None
        return encode_meta(
            task_id,
            meta["status"],
            meta.get("result"),
            self._app.codec,
            serializer=self._app.conf.result_serializer,
            traceback=meta.get("traceback"),
            children=meta.get("children") or (),
        )

    def forget(self, ids: Sequence[str]) -> None:
        for task_id in ids:
            self.backend.forget(task_id)

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        deadline = time.monotonic() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            found = [meta for meta in self.load(ids) if meta is not None and meta.state in READY_STATES]
            left_s = deadline - time.monotonic()
            if found or left_s <= 0 or self._closed.wait(min(pause_s, left_s)):
                return found
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def expire(self, before: float) -> int:
        self.backend.cleanup()
        return 0

    # -- groups and chords --------------------------------------------------------------------------------------------

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        if self._companion is not None:
            self._companion.save_group(group_id, payload, expires_s)
        group = self._group(payload)
        if payload is None:
            self.backend.delete_group(group_id)
        elif group is not None:
            self.backend.save_group(group_id, group)
        elif self._companion is None:
            raise ImproperlyConfigured(self._no_companion("workflows"))

    def _group(self, payload: bytes | None) -> Any:
        """Return the group that *payload* tells of, or ``None`` when it is a record of another kind."""
        if payload is None:
            return None
        try:
            document = self._app.codec.loads(payload, "application/json", "utf-8", frozenset({"application/json"}))
            return result_from_tuple(document["result"], self._app)
        except Exception:  # a workflow's record, not a group's
            return None

    def load_group(self, group_id: str) -> bytes | None:
        if self._companion is not None:
            found = self._companion.load_group(group_id)
            if found is not None:
                return found
        group = self.backend.restore_group(group_id)
        if group is None:
            return None
        payload: bytes = self._app.codec.dumps({"result": group.as_tuple()}, "json")[0]
        return payload

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        if self._companion is None:
            raise ImproperlyConfigured(self._no_companion("chords"))
        return self._companion.join(parts)

    def conclude(self, group_ids: Sequence[str]) -> None:
        if self._companion is not None:
            self._companion.conclude(group_ids)

    def _no_companion(self, what: str) -> str:
        return (
            f"{what} need a store that counts their members, and neither {type(self.backend).__name__} nor the broker "
            f"{self._app.connections.broker_label} has one; use a broker that keeps results too (redis, postgresql, "
            f"sqlite), or one of those as result_backend"
        )

    def __getattr__(self, name: str) -> Any:
        """What Umbel's backends have learnt since: the companion has it."""
        if name.startswith("_"):
            raise AttributeError(name)
        companion = self.__dict__.get("_companion")
        if companion is None:
            raise AttributeError(name)
        return getattr(companion, name)


def _request(document: Any) -> Any:
    """Return what a Celery backend asks of the request it stores a result for."""
    return SimpleNamespace(
        id=document.task_id,
        task=document.name,
        args=document.args,
        kwargs=document.kwargs,
        argsrepr=None if document.args is None else repr(document.args),
        kwargsrepr=None if document.kwargs is None else repr(document.kwargs),
        hostname=document.worker,
        retries=document.retries or 0,
        group=document.group_id,
        parent_id=document.parent_id,
        children=list(document.children or ()),
        delivery_info={"routing_key": document.queue},
        meta={},
    )
