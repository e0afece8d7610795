"""What the pool runs: bytes of a job in, bytes of its outcome out."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from umbel import signals
from umbel.context import Context
from umbel.exceptions import DecodeError, InvalidTaskError, SoftTimeLimitExceeded
from umbel.log import LogStream
from umbel.model import Message
from umbel.protocol.tasks import decode_body, decode_plain_body
from umbel.worker import frames
from umbel.worker.batch_runs import BatchRun
from umbel.worker.failures import parking_reason
from umbel.worker.metas import MetaMaker
from umbel.worker.plans import TaskPlan
from umbel.worker.trace import Tracer

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["TaskExecutor"]

logger = logging.getLogger("umbel.worker.trace")


class _PerThread(threading.local):
    """The event loop of a thread that runs coroutine tasks one after the other."""

    runner: asyncio.Runner | None = None


class TaskExecutor:
    """Runs the tasks of *app* for the node *node*; fulfils :class:`umbel.spi.Executor`.

    Made in the worker, inherited by forked pool processes. *stores* says whether results are kept at all;
    *enter* and *leave* are called in each pool process after its birth and before its orderly end.
    """

    def __init__(
        self,
        app: Umbel,
        node: str,
        *,
        stores: bool,
        logfile: str | None = None,
        loglevel: int | None = None,
        enter: Callable[[], None] | None = None,
    ) -> None:
        self._app = app
        self._node = node
        self._stores = stores
        self._logfile = logfile
        self._loglevel = loglevel
        self._enter = enter
        self._codec = app.codec
        self._accept = app.codec.content_types(app.conf.accept_content)
        self._plans: dict[str, TaskPlan] = {}
        self._tracer = Tracer(app, MetaMaker(app), frames.QueueCodec(), node)
        self._per_thread = _PerThread()
        self._runners: dict[int, asyncio.Runner] = {}
        #: Logs what a task has printed last, without a line end.
        self._end_line = sys.stdout.flush if isinstance(sys.stdout, LogStream) else None

    # -- processes ----------------------------------------------------------------------------------------------------

    def enter_process(self) -> None:
        """Make this process a pool process: no inherited connections, its own loop, the signal for users' set-up."""
        self._app.after_fork()
        if self._enter is not None:
            self._enter()
        signals.worker_process_init.send_robust(sender=None)

    def leave_process(self) -> None:
        """Say goodbye before an orderly exit; errors are logged only [B1008]."""
        signals.worker_process_shutdown.send_robust(sender=None, pid=os.getpid(), exitcode=0)
        try:
            self.close()
            self._app.close()
        except Exception:
            logger.warning("a pool process did not close cleanly", exc_info=True)

    def close(self) -> None:
        """Close the event loops of the threads that ran coroutines; none of them may be running any more."""
        while self._runners:
            _close_quietly(self._runners.popitem()[1])

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def execute(self, payload: bytes) -> bytes:
        """Run one job to its end in this thread."""
        if payload[0] == frames.TOGETHER:
            run, plan = self._batch_run(payload)
            call = plan.entry if not plan.is_coroutine else self._in_loop(plan.entry)
            return frames.encode_together(run.run(call))
        frame = frames.decode_job(payload)
        try:
            name = frame.name
            plan = self._plans.get(name) or self._plan(name)
            request = self._request(frame)
        except Exception as error:
            return self._refused(error)
        call = plan.entry if not plan.is_coroutine else self._in_loop(plan.entry)
        if plan.surround is None:
            outcome = self._tracer.run(plan, request, frame.flags, call)
        else:
            outcome = plan.surround(request, lambda: self._tracer.run(plan, request, frame.flags, call))
        if self._end_line is not None:
            self._end_line()
        return outcome

    async def execute_async(self, payload: bytes) -> bytes:
        """Run one job whose task is a coroutine function on the running loop."""
        if payload[0] == frames.TOGETHER:
            run, plan = self._batch_run(payload)
            return frames.encode_together(await run.run_async(plan.entry))
        frame = frames.decode_job(payload)
        try:
            name = frame.name
            plan = self._plans.get(name) or self._plan(name)
            request = self._request(frame)
        except Exception as error:
            return self._refused(error)
        outcome = await self._tracer.run_async(plan, request, frame.flags)
        if self._end_line is not None:
            self._end_line()
        return outcome

    def is_coroutine(self, payload: bytes) -> bool:
        """Say whether *payload* calls an ``async def`` task."""
        if payload[0] == frames.TOGETHER:
            payload = frames.decode_together(payload)[0]
        task = self._app.tasks.get(frames.decode_job(payload).name)
        return task is not None and task.is_coroutine

    def _batch_run(self, payload: bytes) -> tuple[BatchRun, TaskPlan]:
        jobs = [frames.decode_job(part) for part in frames.decode_together(payload)]
        name = jobs[0].name
        plan = self._plans.get(name) or self._plan(name)  # the worker has collected them by it
        requests: list[tuple[int, Context, int]] = []
        refused: dict[int, bytes] = {}
        for number, frame in enumerate(jobs):
            try:
                requests.append((number, self._request(frame), frame.flags))
            except Exception as error:
                refused[number] = self._refused(error)
        return BatchRun(self._tracer, plan, requests, refused), plan

    def _plan(self, name: str) -> TaskPlan:
        task = self._app.tasks[name]
        surround = self._app.host.surroundings(self._app, task)  # first: it may change the task's run()
        plan = self._plans[name] = TaskPlan(task, stores=self._stores, surround=surround)
        return plan

    def _request(self, frame: frames.JobFrame) -> Context:
        _, head, properties, content_type, encoding, body, delivery = frame
        if type(head) is tuple:
            args, kwargs, embed = decode_plain_body(
                body, content_type, encoding, self._codec, self._accept, unread=True
            )
        else:
            message = Message(body, frame.headers, properties, content_type, encoding)
            args, kwargs, embed = decode_body(message, self._codec, self._accept, unread=True)
        return Context.from_message(
            head,
            properties,
            args,
            kwargs,
            embed,
            delivery=delivery,
            hostname=self._node,
            logfile=self._logfile,
            loglevel=self._loglevel,
            content_type=content_type,
        )

    def _refused(self, error: Exception) -> bytes:
        """A message that cannot become a request is parked by the worker, with the reason."""
        if not isinstance(error, DecodeError | InvalidTaskError):
            logger.critical("a message could not be turned into a request", exc_info=error)
        return frames.encode_outcome(frames.PARK, reason=f"{parking_reason(error)}\n{error}")

    # -- coroutines in a thread ---------------------------------------------------------------------------------------

    def _in_loop(self, entry: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            runner = self._per_thread.runner
            if runner is None:
                runner = self._per_thread.runner = asyncio.Runner()
                self._runners[id(runner)] = runner
            try:
                return runner.run(entry(*args, **kwargs), context=contextvars.copy_context())
            except Exception as error:
                if isinstance(error, SoftTimeLimitExceeded):
                    self._close_runner()  # raised by a signal inside the loop: the coroutine is still pending in it
                raise
            except BaseException:
                self._close_runner()
                raise

        return call

    def _close_runner(self) -> None:
        runner, self._per_thread.runner = self._per_thread.runner, None
        if runner is not None and self._runners.pop(id(runner), None) is not None:
            _close_quietly(runner)


def _close_quietly(runner: asyncio.Runner) -> None:
    if runner.get_loop().is_running():
        return  # a cold stop left its thread in the midst of a coroutine; both end with the process
    try:
        runner.close()
    except Exception:  # a task that cannot be cut off still runs in it, or does not let itself be cancelled
        logger.warning("an event loop of the pool did not close cleanly", exc_info=True)
