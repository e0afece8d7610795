"""Trying again: ``task.retry()``, ``autoretry_for``, back-off and jitter."""

from __future__ import annotations

import datetime as dt
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from umbel.calling.options import check_options
from umbel.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry

if TYPE_CHECKING:
    from umbel.context import Context
    from umbel.task import Task

__all__ = ["backoff_s", "options_of", "retry", "with_autoretry"]

#: Headers that each call has anew; all others are the caller's, and stay.
_OWN_HEADERS = frozenset(
    [
        "lang",
        "task",
        "id",
        "shadow",
        "eta",
        "expires",
        "group",
        "group_index",
        "retries",
        "timelimit",
        "root_id",
        "parent_id",
        "argsrepr",
        "kwargsrepr",
        "origin",
        "ignore_result",
        "replaced_task_nesting",
        "stamped_headers",
        "stamps",
        "compression",
        "redelivered",
    ]
)
#: Beyond this power of two every back-off is at its maximum, and the power itself would be a huge number.
_STEEPEST = 60


def backoff_s(factor: float, retries: int, maximum: float, full_jitter: bool = False) -> float:
    """Return the pause before retry number *retries* + 1: ``factor * 2 ** retries`` seconds, at most *maximum*.

    With *full_jitter* a whole number of seconds between 0 and that, so that many failing calls do not come back at once.
    """
    import random  # stdlib, costs milliseconds at start-up, and only retries need it

    pause = min(maximum, factor * 2 ** min(max(retries, 0), _STEEPEST))
    return float(random.randrange(int(pause) + 1)) if full_jitter else float(max(0, pause))


def retry(
    task: Task[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    exc: BaseException | None = None,
    throw: bool = True,
    eta: dt.datetime | str | None = None,
    countdown: float | None = None,
    max_retries: int | None = None,
    **options: Any,
) -> Retry:
    """Send the running call of *task* again; see :meth:`umbel.Task.retry`."""
    request = task.request
    limit = task.max_retries if max_retries is None else max_retries
    if request.called_directly:
        _raise_direct(exc)
    if eta is None and countdown is None:
        countdown = task.default_retry_delay
    if limit is not None and request.retries >= limit:
        _raise_exceeded(task, request, exc, args, kwargs)
    check_options(options, f"{task.name}.retry")
    signature = task.signature_from_request(
        request, args, kwargs, countdown=countdown, eta=eta, retries=request.retries + 1, **options
    )
    again = Retry(
        exc=exc if exc is not None else _active_exception(),
        when=eta if isinstance(eta, dt.datetime) else countdown,
        is_eager=request.is_eager,
        sig=signature,
    )
    if request.outbox is not None:
        request.outbox.extend(task.app.workflows.prepare(signature))
    elif not request.is_eager:
        signature.apply_async()
    if throw:
        raise again
    if request.is_eager:
        signature.apply(throw=False)
    return again


def options_of(request: Context) -> dict[str, Any]:
    """Return the options under which the call *request* would be sent again: its identity, its place in a workflow, its
    limits and headers, and the queue that it came from (B1077).
    """
    info = request.delivery_info or {}
    limits = request.timelimit or (None, None)
    options: dict[str, Any] = {
        "task_id": request.id,
        "parent_id": request.id,
        "root_id": request.root_id,
        "link": request.callbacks,
        "link_error": request.errbacks,
        "group_id": request.group,
        "group_index": request.group_index,
        "chord": request.chord,
        "chain": request.chain,
        "expires": request.expires,
        "time_limit": limits[0],
        "soft_time_limit": limits[1],
        "reply_to": request.reply_to,
        "shadow": request.shadow,
        "ignore_result": request.ignore_result or None,
        "replaced_task_nesting": request.replaced_task_nesting,
        "stamped_headers": request.stamped_headers,
        "stamps": request.stamps,
        "priority": info.get("priority"),
        "queue": request.queue,
        "headers": {name: value for name, value in (request.headers or {}).items() if name not in _OWN_HEADERS},
    }
    if info.get("exchange"):  # the default exchange leads to the queue by its name
        options.update(exchange=info["exchange"], routing_key=info.get("routing_key"))
    return {name: value for name, value in options.items() if value is not None}


def _active_exception() -> BaseException | None:
    return sys.exc_info()[1]


def _raise_direct(exc: BaseException | None) -> NoReturn:
    """A direct call never retries (B1078): what went wrong is raised."""
    active = _active_exception()
    if exc is not None:
        raise exc from (active if active is not exc else None)
    if active is not None:
        raise active
    raise Retry("a task that is called directly is not retried", None)


def _raise_exceeded(
    task: Task[..., Any],
    request: Context,
    exc: BaseException | None,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> NoReturn:
    active = _active_exception()
    if exc is not None:
        raise exc from (active if active is not exc else None)
    shown_args = request.args if args is None else args
    shown_kwargs = dict((request.kwargs if kwargs is None else kwargs) or {})
    raise MaxRetriesExceededError(
        f"Can't retry {task.name}[{request.id}] args:{shown_args} kwargs:{shown_kwargs}",
        task_args=tuple(shown_args or ()),
        task_kwargs=shown_kwargs,
    )


def with_autoretry(task: Task[..., Any], run: Callable[..., Any]) -> Callable[..., Any]:
    """Return *run*, calling ``task.retry`` for the exceptions of ``autoretry_for`` (a coroutine function stays one)."""
    expected: tuple[type[BaseException], ...] = tuple(task.autoretry_for)
    unwanted: tuple[type[BaseException], ...] = (Ignore, Reject, Retry, *task.dont_autoretry_for)

    def again(error: BaseException) -> NoReturn:
        options = dict(task.retry_kwargs)
        if task.retry_backoff and "countdown" not in options:
            factor = 1.0 if task.retry_backoff is True else float(task.retry_backoff)
            options["countdown"] = backoff_s(factor, task.request.retries, task.retry_backoff_max, task.retry_jitter)
        # max_retries in retry_kwargs must survive a task that changes it while it runs, as Celery's users rely on
        raise task.retry(exc=error, **options)

    if task.is_coroutine:

        @functools.wraps(run)
        async def attempt_async(*args: Any, **kwargs: Any) -> Any:
            try:
                return await run(*args, **kwargs)
            except unwanted:
                raise
            except expected as error:
                again(error)

        return attempt_async

    @functools.wraps(run)
    def attempt(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        except unwanted:
            raise
        except expected as error:
            again(error)

    return attempt
