"""What an application reads from and writes to its result backend on behalf of callers and tasks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from umbel.results.waiting import ResultWaiter

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.context import Context
    from umbel.model import TaskMeta
    from umbel.protocol.results import ResultDocument
    from umbel.spi import BackendCapabilities
    from umbel.task import Task

__all__ = ["ResultStore"]


class ResultStore:
    """The reading and writing of results: content types, expiry, custom states. Thread-safe."""

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._cache_lock = threading.Lock()

    @cached_property
    def accepted(self) -> frozenset[str]:
        """The content types of results that are decoded."""
        conf = self._app.conf
        return self._app.codec.content_types(conf.result_accept_content or conf.accept_content)

    @cached_property
    def stores(self) -> bool:
        """Whether the application's result backend keeps anything; nothing is connected to know it."""
        return self._capabilities.stores

    @cached_property
    def reads_once(self) -> bool:
        """Whether a result can be had by the caller alone, and once."""
        return self._capabilities.reads_once

    @cached_property
    def is_shared(self) -> bool:
        """Whether every process that uses the application's result backend sees the same results, many times."""
        capabilities = self._capabilities
        return capabilities.stores and capabilities.many_processes and not capabilities.reads_once

    @cached_property
    def _capabilities(self) -> BackendCapabilities:
        return self._app.host.backend(self._app, self._app.backend_url).capabilities

    @cached_property
    def waiter(self) -> ResultWaiter:
        """Waits on behalf of coroutines and callbacks."""
        return ResultWaiter(self._app)

    @property
    def expires_s(self) -> float | None:
        """How long results are kept; ``None``: for ever."""
        return self._app.conf.result_expires or None

    @property
    def chord_expires_s(self) -> float | None:
        """How long the parts of chords are kept."""
        expires = self._app.conf.result_chord_expires
        return self.expires_s if expires is None else expires or None

    # -- the caller's own cache (``result_cache_max``) --------------------------------------------------------------

    @cached_property
    def _cache(self) -> OrderedDict[str, ResultDocument] | None:
        return OrderedDict() if self._app.conf.result_cache_max >= 0 else None

    def cached(self, task_id: str) -> ResultDocument | None:
        """Return the final document of *task_id*, if this process has kept it."""
        return None if self._cache is None else self._cache.get(task_id)

    def cache(self, document: ResultDocument) -> None:
        """Keep a final document, and the newest ``result_cache_max`` of them (0: all)."""
        kept, most = self._cache, self._app.conf.result_cache_max
        if kept is not None:
            with self._cache_lock:
                kept[document.task_id] = document
                while most and len(kept) > most:
                    kept.popitem(last=False)

    def forget_cached(self, task_id: str) -> None:
        """Keep the document of *task_id* no longer."""
        if self._cache is not None:
            with self._cache_lock:
                self._cache.pop(task_id, None)

    # -- reading and writing ------------------------------------------------------------------------------------------

    def decode(self, meta: TaskMeta) -> ResultDocument:
        """Return the document of a stored result, its exception rebuilt."""
        from umbel.protocol.results import decode_meta  # for start-up: who only sends never needs it

        return decode_meta(meta, self._app.codec, self.accepted)

    def store_state(self, task: Task[..., Any], request: Context, task_id: str, state: str, meta: Any) -> None:
        """Store a state of a task that runs, unless its results are ignored (B493)."""
        from umbel.protocol.results import encode_meta  # for start-up: who only sends never needs it

        backend = task.result_backend
        if request.ignore_result or not backend.capabilities.stores:
            return
        conf = self._app.conf
        own = request.id == task_id
        backend.store(
            [
                encode_meta(
                    task_id,
                    state,
                    meta,
                    self._app.codec,
                    serializer=conf.result_serializer,
                    children=request.children if own else (),
                    retries=request.retries if own else 0,
                    group_id=request.group if own else None,
                    parent_id=request.parent_id if own else None,
                    compression=conf.result_compression,
                    expires_s=self.expires_s,
                    reply_to=request.reply_to if own else None,
                )
            ]
        )

    def store_eager(
        self, task: Task[..., Any], request: Context, state: str, value: Any, traceback: str | None
    ) -> None:
        """Store the end of a call that ran in the caller (``task_store_eager_result``)."""
        from umbel.protocol.results import encode_meta  # for start-up: who only sends never needs it

        if task.ignore_result or not task.result_backend.capabilities.stores or request.id is None:
            return
        conf = self._app.conf
        task.result_backend.store(
            [
                encode_meta(
                    request.id,
                    state,
                    value,
                    self._app.codec,
                    serializer=conf.result_serializer,
                    traceback=traceback,
                    children=request.children,
                    retries=request.retries,
                    compression=conf.result_compression,
                    expires_s=self.expires_s,
                )
            ]
        )
