"""Running one task from its decoded message to its encoded outcome: what happens where the function runs.

Every exception of the task is an outcome here, ``SystemExit`` among them. Errors of handlers and signal receivers are
logged and change nothing [B1008].
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from umbel import signals
from umbel.canvas.chords import after_end
from umbel.canvas.continuation import after_return
from umbel.context import Context, pop_frame, push_frame
from umbel.einfo import ExceptionInfo
from umbel.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from umbel.model import Commit, TaskMeta
from umbel.protocol.exceptions import traceback_text
from umbel.protocol.reprs import saferepr
from umbel.protocol.results import decode_meta
from umbel.states import FAILURE, IGNORED, REJECTED, RETRY, STARTED, SUCCESS
from umbel.worker import frames
from umbel.worker.plans import TaskPlan
from umbel.worker.telling import einfo_of, guard, log_failure, make_report, text_of

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.worker.metas import MetaMaker

__all__ = ["Tracer", "is_cancelled"]

logger = logging.getLogger("umbel.worker.trace")

#: A result in a log line is cut here [B1111].
_LOGGED_RESULT_LENGTH = 46


class Tracer:
    """Runs requests of one application and turns every end into the bytes of an outcome. Thread-safe."""

    def __init__(self, app: Umbel, metas: MetaMaker, queues: frames.QueueCodec, node: str) -> None:
        self._app = app
        self._metas = metas
        self._queues = queues
        self._node = node

    # -- the ways to run ----------------------------------------------------------------------------------------------

    def run(self, plan: TaskPlan, request: Context, flags: int, call: Callable[..., Any]) -> bytes:
        """Run *request* with *call* (the task's function, or what runs its coroutine) and return its outcome."""
        token = push_frame(plan.task, request)
        try:
            began = time.monotonic()
            try:
                if plan.has_prologue or signals.task_prerun.receivers:
                    self.begin(plan, request)
                request.entered = plan.enters
                value = call(*request.args or (), **request.kwargs or {})
            except BaseException as error:
                return self._end(self._raised, plan, request, error, time.monotonic() - began, flags)
            return self._end(self._returned, plan, request, value, time.monotonic() - began, flags)
        finally:
            pop_frame(token)

    async def run_async(self, plan: TaskPlan, request: Context, flags: int) -> bytes:
        """The same for a coroutine function, on the running loop."""
        token = push_frame(plan.task, request)
        try:
            began = time.monotonic()
            try:
                if plan.has_prologue or signals.task_prerun.receivers:
                    self.begin(plan, request)
                request.entered = plan.enters
                value = await plan.entry(*request.args or (), **request.kwargs or {})
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and is_cancelled():
                    raise  # by the pool, which has told the worker what becomes of the task
                return self._end(self._raised, plan, request, error, time.monotonic() - began, flags)
            return self._end(self._returned, plan, request, value, time.monotonic() - began, flags)
        finally:
            pop_frame(token)

    def begin(self, plan: TaskPlan, request: Context) -> None:
        """Do what comes before the function: STARTED, the signal, ``before_start`` (whose error is the task's own)."""
        task = plan.task
        if signals.task_prerun.receivers:
            signals.task_prerun.send_robust(
                sender=task, task_id=request.id, task=task, args=request.args, kwargs=request.kwargs
            )
        if plan.tracks_started and plan.keeps_result(request):
            self._store_now(plan, self._metas.make(request, STARTED, {"pid": os.getpid(), "hostname": self._node}))
        if plan.before_start is not None:
            plan.before_start(request.id, request.args, request.kwargs)

    def ended(self, plan: TaskPlan, request: Context, well: bool, value: Any, runtime_s: float, flags: int) -> bytes:
        """Return the outcome of *request*, whose function returned *value*, or raised it."""
        return self._end(self._returned if well else self._raised, plan, request, value, runtime_s, flags)

    # -- the ends -----------------------------------------------------------------------------------------------------

    def _end(
        self,
        end: Callable[..., bytes],
        plan: TaskPlan,
        request: Context,
        value: Any,
        runtime_s: float,
        flags: int,
    ) -> bytes:
        try:
            return end(plan, request, value, runtime_s, flags)
        except SoftTimeLimitExceeded:
            # The limit struck after the function's end: the task is done, so write its outcome once more.
            return end(plan, request, value, runtime_s, flags)
        except Exception as error:
            return self._internal_error(plan, request, error, runtime_s if flags & frames.REPORT else None)

    def _returned(self, plan: TaskPlan, request: Context, value: Any, runtime_s: float, flags: int) -> bytes:
        ended: Commit | None = None
        try:
            if request.callbacks or request.steps or request.chord is not None:
                ended = after_return(self._app, request, value)
        except Exception as error:
            return self._raised(plan, request, error, runtime_s, flags)
        meta: TaskMeta | None = None
        if plan.keeps_result(request):
            meta = self._metas.make(request, SUCCESS, value)
            if meta.state != SUCCESS:
                refusal = decode_meta(meta, self._app.codec, None).result
                return self._raised(plan, request, refusal, runtime_s, flags)
        if signals.task_success.receivers:
            signals.task_success.send_robust(sender=plan.task, result=value, runtime=runtime_s)
        if plan.on_success is not None:
            guard(plan, "on_success", plan.on_success, value, request.id, request.args, request.kwargs)
        if plan.has_epilogue or signals.task_postrun.receivers:
            meta = self._epilogue(plan, request, SUCCESS, value, None, meta)
        if plan.logger.isEnabledFor(logging.INFO):
            text = saferepr(value, _LOGGED_RESULT_LENGTH)
            plan.logger.info("Task %s[%s] succeeded in %.6fs: %s", request.task, request.id, runtime_s, text)
        report = make_report(plan, runtime_s, value, None) if flags & frames.REPORT else None
        if ended is None and not request.outbox:
            if meta is not None:
                return frames.encode_kept(meta, report)
            return frames.DONE if report is None else frames.encode_report(report)
        ended = ended or Commit()
        ended.publications[:0] = request.outbox or ()
        return self._encode(frames.SUCCEEDED, meta, ended, None, report)

    def _raised(self, plan: TaskPlan, request: Context, error: BaseException, runtime_s: float, flags: int) -> bytes:
        told_s = runtime_s if flags & frames.REPORT else None
        if isinstance(error, Ignore):
            return self._ignored(plan, request, error, told_s)
        if isinstance(error, Reject):
            return self._rejected(plan, request, error, told_s)
        einfo = einfo_of(error, self._app.exception_info)
        if isinstance(error, Retry):
            return self._retried(plan, request, error, einfo, told_s)
        return self._failed(plan, request, error, einfo, told_s)

    def _failed(
        self, plan: TaskPlan, request: Context, error: BaseException, einfo: ExceptionInfo, told_s: float | None
    ) -> bytes:
        meta = None
        if plan.keeps_failure(request):
            meta = self._metas.make(request, FAILURE, error, einfo.traceback)
        ended = after_end(self._app, request, FAILURE, error, einfo.traceback)
        log_failure(plan, request, error, einfo)
        if signals.task_failure.receivers:
            signals.task_failure.send_robust(
                sender=plan.task,
                task_id=request.id,
                exception=error,
                args=request.args,
                kwargs=request.kwargs,
                traceback=einfo.tb,
                einfo=einfo,
            )
        if plan.on_failure is not None:
            guard(plan, "on_failure", plan.on_failure, error, request.id, request.args, request.kwargs, einfo)
        meta = self._epilogue(plan, request, FAILURE, error, einfo, meta)
        report = make_report(plan, told_s, error, einfo)
        reason = "timeout" if isinstance(error, SoftTimeLimitExceeded) else None
        return self._encode(frames.FAILED, meta, ended, reason, report)

    def _retried(
        self, plan: TaskPlan, request: Context, error: Retry, einfo: ExceptionInfo, told_s: float | None
    ) -> bytes:
        cause = error.exc if error.exc is not None else error
        meta = self._metas.make(request, RETRY, error, einfo.traceback) if plan.keeps_result(request) else None
        plan.logger.info("Task %s[%s] retry: %s", request.task, request.id, text_of(error))
        if signals.task_retry.receivers:
            signals.task_retry.send_robust(sender=plan.task, request=request, reason=error, einfo=einfo)
        if plan.on_retry is not None:
            guard(plan, "on_retry", plan.on_retry, cause, request.id, request.args, request.kwargs, einfo)
        meta = self._epilogue(plan, request, RETRY, cause, einfo, meta)
        report = make_report(plan, told_s, cause, einfo)
        return self._encode(frames.RETRIED, meta, Commit(list(request.outbox or ())), None, report)

    def _ignored(self, plan: TaskPlan, request: Context, error: Ignore, told_s: float | None) -> bytes:
        plan.logger.info("Task %s[%s] ignored", request.task, request.id)
        self._epilogue(plan, request, IGNORED, error, None, None)
        # What took its place has its chain and chord too; else nothing will ever come of them.
        ended = Commit() if request.replaced else after_end(self._app, request, FAILURE, error, errbacks=False)
        ended.publications.extend(request.outbox or ())
        return self._encode(frames.IGNORED, None, ended, None, make_report(plan, told_s, error, None))

    def _rejected(self, plan: TaskPlan, request: Context, error: Reject, told_s: float | None) -> bytes:
        plan.logger.warning("Task %s[%s] %s", request.task, request.id, text_of(error))
        self._epilogue(plan, request, REJECTED, error, None, None)
        reason = saferepr(error.reason, 1000) if error.reason is not None else "rejected by the task"
        kind = frames.REQUEUED if error.requeue else frames.REJECTED
        # A message that goes back comes again, and with it what waits for it.
        ended = Commit() if error.requeue else after_end(self._app, request, FAILURE, error, errbacks=False)
        return self._encode(kind, None, ended, reason, make_report(plan, told_s, error, None))

    def _internal_error(self, plan: TaskPlan, request: Context, error: Exception, told_s: float | None) -> bytes:
        """End a task on which this module, or a plugin under it, failed: the fault is shown and nothing is stuck."""
        einfo = self._app.exception_info(error, traceback_text(error))
        einfo.internal = True
        logger.critical("internal error at the end of %s[%s]", request.task, request.id, exc_info=error)
        if signals.task_internal_error.receivers:
            signals.task_internal_error.send_robust(
                sender=plan.task,
                task_id=request.id,
                args=request.args,
                kwargs=request.kwargs,
                request=request,
                exception=error,
                traceback=einfo.tb,
                einfo=einfo,
            )
        request.children = []
        meta = self._metas.make(request, FAILURE, error, einfo.traceback) if plan.keeps_failure(request) else None
        report = make_report(plan, told_s, error, einfo)
        return self._encode(frames.FAILED, meta, after_end(self._app, request, FAILURE, error), None, report)

    # -- around the ends ----------------------------------------------------------------------------------------------

    def _epilogue(
        self,
        plan: TaskPlan,
        request: Context,
        state: str,
        value: Any,
        einfo: ExceptionInfo | None,
        meta: TaskMeta | None,
    ) -> TaskMeta | None:
        """Call what comes after the function; return the meta if it is still to be stored.

        A task with an ``after_return`` of its own has its result stored before that is called [B1037]; so has a task
        with a result backend of its own, which the worker's commit does not reach.
        """
        if meta is not None and (plan.after_return is not None or plan.has_own_backend):
            meta = None if self._store_now(plan, meta) else meta
        if signals.task_postrun.receivers:
            signals.task_postrun.send_robust(
                sender=plan.task,
                task_id=request.id,
                task=plan.task,
                args=request.args,
                kwargs=request.kwargs,
                retval=value,
                state=state,
            )
        if plan.after_return is not None:
            arguments = (state, value, request.id, request.args, request.kwargs, einfo)
            guard(plan, "after_return", plan.after_return, *arguments)
        return meta

    def _store_now(self, plan: TaskPlan, meta: TaskMeta) -> bool:
        try:
            plan.task.result_backend.store([meta])
        except Exception:
            plan.logger.exception("state %s of task %s[%s] could not be stored", meta.state, plan.name, meta.task_id)
            return plan.has_own_backend  # no other way leads there; the commit would put it into the wrong store
        return True

    def _encode(
        self, kind: str, meta: TaskMeta | None, ended: Commit, reason: str | None, report: tuple[Any, ...] | None
    ) -> bytes:
        metas = ended.metas if meta is None else [meta, *ended.metas]
        packed = [self._queues.pack(publication) for publication in ended.publications]
        return frames.encode_outcome(kind, metas, packed, ended.parts, reason, report)


def is_cancelled() -> bool:
    """Say whether the coroutine that runs was cancelled from outside; else the task raised the error by itself."""
    running = asyncio.current_task()
    return running is not None and running.cancelling() > 0
