"""Celery's base class of result backends: what projects and packages subclass, and what ``app.backend`` answers to.

The methods with an underscore are the store's own: a subclass writes them, as Celery's manual says. Everything else is
made of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from umbel import states
from umbel.exceptions import BackendStoreError, ChordError, ImproperlyConfigured, TaskRevokedError, TimeoutError
from umbel.results import result_from_tuple
from umbel_extension_celery.backends.encoding import ResultEncoding

__all__ = ["Backend", "DisabledBackend"]


class Backend(ResultEncoding):
    """Keeps the states of tasks. Made by an application: ``Backend(app, url=...)``."""

    TimeoutError = TimeoutError
    subpolling_interval: float | None = None
    supports_native_join = False
    supports_autoexpire = False
    retry_policy: ClassVar[Mapping[str, Any]] = {
        "max_retries": 20,
        "interval_start": 0,
        "interval_step": 1,
        "interval_max": 1,
    }

    # -- writing ------------------------------------------------------------------------------------------------------

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _store_result()")

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """Keep the state of a task. :class:`~umbel.exceptions.BackendStoreError` when the store keeps refusing it."""
        encoded = self.encode_result(result, state)
        self._again(
            lambda: self._store_result(task_id, encoded, state, traceback, request=request, **kwargs), task_id, state
        )
        return encoded

    def _again(self, write: Callable[[], Any], task_id: str, state: str) -> None:
        """Do *write*; where ``result_backend_always_retry`` is on and the error is one to try again, do so."""
        conf = self.app.conf
        tries, pause_ms = 0, float(conf.result_backend_base_sleep_between_retries_ms)
        while True:
            try:
                write()
                return
            except Exception as error:
                if not (self.always_retry and self.exception_safe_to_retry(error)):
                    raise
                tries += 1
                if tries >= conf.result_backend_max_retries:
                    raise BackendStoreError(
                        f"the state {state} of task {task_id} could not be stored: {error}",
                        task_id=task_id,
                        state=state,
                    ) from error
            time.sleep(min(pause_ms, conf.result_backend_max_sleep_between_retries_ms) / 1000)
            pause_ms *= 2

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Say whether an operation that raised *exc* may be tried again; for subclasses."""
        return False

    def mark_as_started(self, task_id: str, **meta: Any) -> Any:
        """Keep that the task has started."""
        return self.store_result(task_id, meta, states.STARTED)

    def mark_as_done(
        self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS
    ) -> None:
        """Keep the task's result."""
        if store_result:
            self.store_result(task_id, result, state, request=request)

    def mark_as_failure(
        self,
        task_id: str,
        exc: BaseException,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        """Keep the task's exception."""
        if store_result:
            self.store_result(task_id, exc, state, traceback=traceback, request=request)

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        """Keep that the task was revoked."""
        if store_result:
            self.store_result(task_id, TaskRevokedError(reason), state, request=request)

    def mark_as_retry(
        self,
        task_id: str,
        exc: BaseException,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        state: str = states.RETRY,
    ) -> Any:
        """Keep that the task will run again."""
        return self.store_result(task_id, exc, state, traceback=traceback, request=request)

    def current_task_children(self, request: Any = None) -> Any:
        """Return the calls that the running task has made, as result tuples."""
        children = getattr(request, "children", None) or ()
        return [child.as_tuple() if hasattr(child, "as_tuple") else child for child in children]

    # -- reading ------------------------------------------------------------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _get_task_meta_for()")

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """Return what is stored of a task: ``status``, ``result``, ``traceback``, ...; PENDING for an unknown one."""
        return self._get_task_meta_for(task_id)

    def get_state(self, task_id: str) -> str:
        """Return the name of a task's state."""
        state: str = self.get_task_meta(task_id)["status"]
        return state

    get_status = get_state

    def get_result(self, task_id: str) -> Any:
        """Return a task's result or exception."""
        return self.get_task_meta(task_id).get("result")

    def get_traceback(self, task_id: str) -> Any:
        """Return the traceback of a failed task."""
        return self.get_task_meta(task_id).get("traceback")

    def get_children(self, task_id: str) -> Any:
        """Return the calls that a task has made."""
        return self.get_task_meta(task_id).get("children")

    def reload_task_result(self, task_id: str) -> None:
        """Nothing is cached."""

    def wait_for(
        self, task_id: str, timeout: float | None = None, interval: float = 0.5, on_interval: Any = None, **_: Any
    ) -> dict[str, Any]:
        """Look every *interval* seconds until the task has ended; ``TimeoutError`` after *timeout* seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            meta = self.get_task_meta(task_id)
            if meta["status"] in self.READY_STATES:
                return meta
            if on_interval is not None:
                on_interval()
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"the task {task_id} did not end within {timeout} s")
            time.sleep(interval)

    # -- forgetting ---------------------------------------------------------------------------------------------------

    def _forget(self, task_id: str) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not implement forget")

    def forget(self, task_id: str) -> None:
        """Remove what is stored of a task."""
        self._forget(task_id)

    def cleanup(self) -> None:
        """Remove what is over its time; for stores that do not do so by themselves."""

    def process_cleanup(self) -> None:
        """Called when a process is done with the store."""

    # -- groups and chords --------------------------------------------------------------------------------------------

    def _save_group(self, group_id: str, result: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _save_group()")

    def _restore_group(self, group_id: str) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _restore_group()")

    def _delete_group(self, group_id: str) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _delete_group()")

    def save_group(self, group_id: str, result: Any) -> Any:
        """Keep a group's result."""
        return self._save_group(group_id, result)

    def restore_group(self, group_id: str, cache: bool = True) -> Any:
        """Return a group's result, or ``None``."""
        meta = self.get_group_meta(group_id)
        return meta["result"] if meta else None

    def get_group_meta(self, group_id: str, cache: bool = True) -> Any:
        """Return what is stored of a group."""
        return self._restore_group(group_id)

    def delete_group(self, group_id: str) -> None:
        """Remove a group's result."""
        self._delete_group(group_id)

    def ensure_chords_allowed(self) -> None:
        """Raise where chords cannot work; they can."""

    def chord_error_from_stack(self, callback: Any, exc: BaseException | None = None) -> Any:
        """Keep that a chord's body will not run, as its FAILURE."""
        error = exc or ChordError("a member of the chord failed")
        self.mark_as_failure(callback.id, error)
        return None

    def as_group_result(self, value: Any) -> Any:
        """Return the group result of a tuple."""
        return result_from_tuple(value, self.app)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.as_uri()}>"


class _Disabled(type):
    """Makes ``isinstance(result.backend, DisabledBackend)`` true for Umbel's own backend that keeps nothing."""

    def __instancecheck__(cls, instance: Any) -> bool:
        capabilities = getattr(instance, "capabilities", None)
        return type.__instancecheck__(cls, instance) or (capabilities is not None and not capabilities.stores)


class DisabledBackend(Backend, metaclass=_Disabled):
    """Keeps nothing; asking it for a result is an error that says so."""

    def store_result(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def _is_disabled(self, *args: Any, **kwargs: Any) -> Any:
        raise ImproperlyConfigured(
            "no result backend is configured, so no result can be had; set result_backend, for example to 'redis://'"
        )

    get_state = get_status = get_result = get_traceback = get_task_meta = wait_for = _is_disabled

    def as_uri(self, *args: Any, **kwargs: Any) -> str:
        """Return ``disabled://``."""
        return "disabled://"
