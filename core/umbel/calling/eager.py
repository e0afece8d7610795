"""Calls that run at once, in the caller: ``task.apply()``, and every call where ``task_always_eager`` is on.

Handlers and signals run as in a worker (B1089); retries happen at once, without their pauses.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel import signals
from umbel.calling.ids import new_id
from umbel.calling.links import as_signatures
from umbel.calling.options import check_arguments, check_options
from umbel.context import Context, top_frame
from umbel.einfo import ExceptionInfo
from umbel.exceptions import Ignore, Reject, Retry
from umbel.results.eager_result import EagerResult
from umbel.states import FAILURE, IGNORED, REJECTED, RETRY, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import Task

__all__ = ["apply_eagerly", "run_coroutine", "run_eagerly"]


def apply_eagerly(
    task: Task[..., Any],
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    throw: bool | None = None,
) -> EagerResult[Any]:
    """Check a call as sending it would, and run it."""
    args, kwargs = check_arguments(task.name, args, kwargs)
    check_options(options, f"{task.name}.apply")
    if task.typing:
        task.parameters.check(args, kwargs)
    return run_eagerly(task, args, kwargs, options, throw)


def run_eagerly(
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    throw: bool | None = None,
) -> EagerResult[Any]:
    """Run one call of *task* to its end, its retries and callbacks included; return its result.

    *throw* (``task_eager_propagates`` for ``None``): let the task's exception out.
    """
    conf = task.app.conf
    throws = conf.task_eager_propagates if throw is None else throw
    request = _request(task, args, kwargs, options)
    while True:
        state, value, einfo = _attempt(task, request)
        if state != RETRY or not isinstance(value, Retry) or value.sig is None:
            break
        signature = value.sig
        request = _request(task, signature.args, signature.kwargs, {**options, **signature.options})
    if state == FAILURE and throws and isinstance(value, BaseException):
        raise value
    if conf.task_store_eager_result:
        task.app.results.store_eager(task, request, state, value, None if einfo is None else einfo.traceback)
    result: EagerResult[Any] = EagerResult(
        str(request.id),
        value.exc if isinstance(value, Retry) else value,
        state,
        None if einfo is None else einfo.traceback,
        task.name,
        app=task.app,
        children=request.children,
    )
    _continue(task.app, request, state, value, einfo)
    return result


def _request(
    task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Context:
    frame = top_frame()
    task_id = options.get("task_id") or new_id()
    above = None if frame is None or frame.request.id is None else frame.request
    return Context(
        id=task_id,
        task=task.name,
        args=args,
        kwargs=kwargs,
        is_eager=True,
        called_directly=False,
        retries=options.get("retries") or 0,
        root_id=options.get("root_id") or (task_id if above is None else above.root_id or above.id),
        parent_id=options.get("parent_id") or (None if above is None else above.id),
        callbacks=as_signatures(options.get("link")),
        errbacks=as_signatures(options.get("link_error")),
        headers=dict(options.get("headers") or {}),
        group=options.get("group_id"),
        group_index=options.get("group_index"),
        stamps=dict(options.get("stamps") or {}),
        stamped_headers=options.get("stamped_headers"),
        delivery_info={
            "is_eager": True,
            "exchange": options.get("exchange"),
            "routing_key": options.get("routing_key"),
            "priority": options.get("priority"),
        },
    )


def _attempt(task: Task[..., Any], request: Context) -> tuple[str, Any, ExceptionInfo | None]:
    """Run the task once, with its handlers and signals; return state, value or exception, and traceback."""
    args, kwargs = list(request.args or ()), dict(request.kwargs or {})
    named = {"task_id": request.id, "task": task, "args": args, "kwargs": kwargs}
    token = task.push_request(request)
    einfo: ExceptionInfo | None = None
    try:
        if signals.task_prerun.receivers:
            signals.task_prerun.send_robust(sender=task, **named)
        started = time.perf_counter()
        try:
            task.before_start(request.id, args, kwargs)
            value = task.value_here(request, args, kwargs)
            state = SUCCESS
        except Exception as error:  # whatever a task may raise is its outcome
            state, value, einfo = _outcome(task, error)
        _handle(task, request, state, value, einfo, time.perf_counter() - started)
        task.after_return(state, value, request.id, args, kwargs, einfo)
        if signals.task_postrun.receivers:
            signals.task_postrun.send_robust(sender=task, **named, retval=value, state=state)
    finally:
        task.pop_request(token)
    return state, value, einfo


def _outcome(task: Task[..., Any], error: Exception) -> tuple[str, Any, ExceptionInfo | None]:
    einfo = task.app.exception_info(error)
    if isinstance(error, Retry):
        return RETRY, error, einfo
    if isinstance(error, Ignore):
        return IGNORED, None, None
    if isinstance(error, Reject):
        return REJECTED, error, einfo
    return FAILURE, error, einfo


def _handle(
    task: Task[..., Any], request: Context, state: str, value: Any, einfo: ExceptionInfo | None, runtime: float
) -> None:
    args, kwargs = request.args, request.kwargs
    if state == SUCCESS:
        if signals.task_success.receivers:
            signals.task_success.send_robust(sender=task, result=value, runtime=runtime)
        task.on_success(value, request.id, args, kwargs)
    elif state == RETRY:
        task.on_retry(value.exc, request.id, args, kwargs, einfo)
        if signals.task_retry.receivers:
            signals.task_retry.send_robust(sender=task, request=request, reason=value, einfo=einfo)
    elif state == FAILURE:
        task.on_failure(value, request.id, args, kwargs, einfo)
        if signals.task_failure.receivers:
            signals.task_failure.send_robust(
                sender=task,
                task_id=request.id,
                exception=value,
                args=args,
                kwargs=kwargs,
                traceback=value.__traceback__,
                einfo=einfo,
            )


def _continue(app: Umbel, request: Context, state: str, value: Any, einfo: ExceptionInfo | None) -> None:
    """Run callbacks or errbacks; they are eager too."""
    from umbel.canvas.signature import Signature  # canvas stands above; only a linked eager call needs it

    if state == SUCCESS:
        for callback in request.callbacks or ():
            Signature.from_dict(callback, app).apply((value,))
    elif state == FAILURE:
        for errback in request.errbacks or ():
            signature = Signature.from_dict(errback, app)
            several = not signature.subtask_type and signature.type.parameters.takes_several
            given = (request, value, None if einfo is None else einfo.traceback) if several else (request.id,)
            signature.apply(given)


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run *coroutine* to its end: on a new event loop, in a thread of its own when this one has a loop running."""
    import asyncio  # stdlib; only coroutine tasks need it
    import contextvars
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, "umbel-eager") as executor:
        return executor.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()
