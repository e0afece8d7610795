"""Tasks that can be asked to stop, and that look now and then whether they were.

::

    from umbel.contrib.abortable import AbortableTask

    @app.task(bind=True, base=AbortableTask)
    def long_work(self):
        for part in parts():
            if self.is_aborted():
                return "stopped half way"
            work_on(part)

    long_work.delay().abort()

Nothing is killed: a task that does not look runs to its end. The result backend must keep results.
"""

from __future__ import annotations

from typing import Any, Final, ParamSpec, TypeVar

from umbel.exceptions import BackendError
from umbel.protocol.results import encode_meta
from umbel.results import AsyncResult
from umbel.task import Task

__all__ = ["ABORTED", "AbortableAsyncResult", "AbortableTask"]

#: The state of a task that was asked to stop and has not ended yet.
ABORTED: Final = "ABORTED"

P = ParamSpec("P")
R = TypeVar("R")


class AbortableAsyncResult(AsyncResult[R]):
    """The result of an :class:`AbortableTask`: it can be aborted."""

    __slots__ = ()

    def is_aborted(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self.state == ABORTED

    def abort(self) -> None:
        """Ask the task to stop: its state is ABORTED until it ends. A task that has ended is left as it is."""
        backend = self.backend
        if not backend.capabilities.stores:
            raise BackendError("abort(): expected a result backend, where the task looks; got none: set result_backend")
        (stored,) = backend.load([self.id])
        attempt = 0 if stored is None else stored.attempt
        app = self.app
        backend.store(
            [
                encode_meta(
                    self.id,
                    ABORTED,
                    None,
                    app.codec,
                    serializer=app.conf.result_serializer,
                    retries=attempt,
                    expires_s=app.results.expires_s,
                )
            ]
        )


class AbortableTask(Task[P, R]):
    """The base of tasks that look whether they were asked to stop: ``@app.task(base=AbortableTask, bind=True)``."""

    abstract = True

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AbortableAsyncResult[R]:  # noqa: N802 - Celery's name
        """Return the result of the call *task_id*, which can be aborted."""
        return AbortableAsyncResult(task_id, self.backend_url, None, self.app, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AbortableAsyncResult[R]:
        """Call the task elsewhere; the answer can be aborted."""
        return self.AsyncResult(super().delay(*args, **kwargs).id)

    def apply_async(self, *args: Any, **kwargs: Any) -> AbortableAsyncResult[R]:
        """Call the task elsewhere; the answer can be aborted."""
        return self.AsyncResult(super().apply_async(*args, **kwargs).id)

    def is_aborted(self, **kwargs: Any) -> bool:
        """Whether the running call (or the one of *task_id*) was asked to stop. Each time the store is asked."""
        task_id = kwargs.get("task_id") or self.request.id
        return task_id is not None and self.AsyncResult(task_id).is_aborted()
