"""The worker: takes messages from queues, has them run by a pool, and makes their ends durable.

Usable without the command line: ``with Worker(app, pool="threads") as worker: ...``. All state belongs to the object;
several workers can live in one process.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from umbel import signals
from umbel.calling.ids import new_id
from umbel.exceptions import UmbelError
from umbel.model import Delivery
from umbel.spi import Job, Pool, Transport
from umbel.worker.admission import Admission
from umbel.worker.builtin import BUILTIN_STEPS
from umbel.worker.control.restarting import restart_pool
from umbel.worker.control.service import ControlService
from umbel.worker.control.steps import CONTROL_STEPS
from umbel.worker.events.steps import EventsStep
from umbel.worker.executor import TaskExecutor
from umbel.worker.failures import Failures
from umbel.worker.gossip import Gossip
from umbel.worker.held import Jobs
from umbel.worker.intake import Intake
from umbel.worker.line import CommitLine
from umbel.worker.options import WorkerOptions, check_pool, choose_queues, resolve
from umbel.worker.outflow import Outflow
from umbel.worker.presence import Presence
from umbel.worker.reports import Reports, Translator
from umbel.worker.steps import Step, StepGraph, StepState
from umbel.worker.timers import Timers

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Worker"]

logger = logging.getLogger("umbel.worker")

_MOST_PER_CLAIM = 256
#: Ends that wait for their commit beyond this number stop the intake: the store cannot keep up.
_MOST_UNCOMMITTED = 20_000


class Worker:
    """A node. *options* are those of :func:`umbel.worker.options.resolve`: ``hostname``, ``pool``, ``concurrency``, ...

    *queues* and *exclude_queues*: names, or one text with commas. *include*: more modules to import. Making a worker
    imports the application's modules and checks the options; nothing is started.
    """

    def __init__(
        self,
        app: Umbel,
        *,
        queues: str | Sequence[str] | None = None,
        exclude_queues: str | Sequence[str] | None = None,
        include: Sequence[str] = (),
        steps: Sequence[type[Step]] = (),
        logfile: str | None = None,
        loglevel: int | None = None,
        process_init: Callable[[], None] | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        if include:
            app.conf.include = (*app.conf.include, *include)
        self.options: WorkerOptions = resolve(app, **options)
        self.node = self.options.node
        signals.celeryd_init.send_robust(sender=self.node, instance=self, conf=app.conf, options=options)
        app.import_modules()
        app.finalize()
        app.host.extensions(app)
        check_pool(app, self.options, app.host.pool_capabilities(self.options.pool))
        # A wrong URL is told here, and not by a belt of a worker that has started.
        transports = [app.host.transport(app, url) for url in app.connections.broker_read_urls]
        #: Whether workers can hear each other over the broker.
        self.broadcasts = all(transport.capabilities.fanout for transport in transports)
        self.queues = choose_queues(app, self.node, queues, exclude_queues)
        signals.celeryd_after_setup.send_robust(sender=self.node, instance=self, conf=app.conf)
        #: What tells this worker from another of its name.
        self.instance = new_id()
        self.started_at: float | None = None
        #: Tells others of this worker, and hears of them; both are made by their steps.
        self.events: EventsStep
        self.gossip: Gossip
        #: Why the worker had to stop; ``None`` while it need not.
        self.failure: str | None = None
        self.pool_has_drained = False
        #: How many tasks run at once, now.
        self.concurrency = self.options.concurrency
        self.on_failure: Callable[[str], None] = self._stop_by_itself
        #: Called, on any thread, when the worker is told from outside to finish and stop.
        self.shut_down: Callable[[], None] = self._shut_down_by_itself
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._lifecycle = threading.RLock()
        self._build(logfile, loglevel, process_init)
        self.graph = StepGraph(
            self, [*BUILTIN_STEPS, *CONTROL_STEPS, *app.steps["worker"], *app.host.worker_steps(app), *steps]
        )

    def _build(self, logfile: str | None, loglevel: int | None, process_init: Callable[[], None] | None) -> None:
        app, options = self.app, self.options
        conf = app.conf
        self.keeps_results = app.host.backend(app, app.backend_url).capabilities.stores
        dead_letters = frozenset(
            queue.name for queue in self.queues if "x-dead-letter-exchange" in queue.queue_arguments
        )
        self.jobs = Jobs()
        self.timers = Timers()
        self.presence = Presence(app.broker_url, self.node)
        self.failures = Failures(app, self.node, stores=self.keeps_results, dead_letters=dead_letters)
        self.make_executor: Callable[[], TaskExecutor] = lambda: TaskExecutor(
            app, self.node, stores=self.keeps_results, logfile=logfile, loglevel=loglevel, enter=process_init
        )
        self.executor = self.make_executor()
        self.intake = Intake(app, self.node, self.queues, self.room, self._take, self._connected, self._fail)
        self.translator = Translator(app, self.jobs, self.failures)
        self.outflow = Outflow(
            CommitLine(app, self.intake.settle), self.translator, self.failures.spoilt, self._committed
        )
        self.reports = Reports(self.outflow.put, self.intake.notice_room, self._fail, self.jobs)
        limits = (options.time_limit_s, options.soft_time_limit_s)
        self.admission = Admission(app, self.jobs, self.failures, self.timers, self.outflow.put, self.submit, limits)
        self.control = ControlService(self)
        pool_options = options.pool_options(max(10.0, conf.worker_proc_alive_timeout), conf.worker_lost_wait)
        self.make_pool: Callable[[], Pool] = lambda: app.host.pool(app, options.pool, pool_options)
        self.pool = self.make_pool()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start everything and return; :meth:`wait_until_ready` says when messages are taken.

        With a pool that forks, call this before the process has other threads. An error stops what was started.
        """
        with self._lifecycle:
            if self.graph.state != StepState.NEW:
                raise UmbelError(f"worker {self.node} was started before; make a new one")
            signals.worker_init.send_robust(sender=self)
            if self.options.purge:
                logger.warning("purged %d messages", self.purge())
            self.started_at = time.time()
            try:
                self.graph.start()
            except BaseException:
                self._stopped.set()
                raise
        return self

    def stop(self, *, cold: bool = False) -> None:
        """Stop: finish what runs (or, *cold*, cut it off), give back what has not started, close. From any state.

        Returns when all is done. A second call with *cold*, from another thread or a signal handler, makes the first
        one short.
        """
        if cold and self.graph.state == StepState.STOPPING:
            self.hasten()
        with self._lifecycle:
            if not self._stopped.is_set():
                self.graph.stop(cold=cold)
                self._stopped.set()
                self._ready.set()
                signals.worker_shutdown.send_robust(sender=self)

    def hasten(self) -> None:
        """Make a stop that is under way a cold one. Returns at once; any thread, and signal handlers, may call it."""
        self.graph.hasten()
        threading.Thread(
            target=self.pool.stop, kwargs={"drain": False, "timeout_s": None}, name="umbel-hasten", daemon=True
        ).start()

    def wait_until_ready(self, timeout_s: float = 10.0) -> None:
        """Block until messages are taken. Raises ``TimeoutError``, or the worker's failure as an error."""
        if not self._ready.wait(timeout_s):
            raise TimeoutError(f"worker {self.node} was not ready within {timeout_s} s")
        if self.failure is not None:
            raise UmbelError(f"worker {self.node} could not start: {self.failure}")

    def wait_until_stopped(self, timeout_s: float | None = None) -> bool:
        """Block until :meth:`stop` is done; say whether it is."""
        return self._stopped.wait(timeout_s)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop(cold=True)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def hostname(self) -> str:
        """The node's name, under Celery's name for it."""
        return self.node

    @property
    def is_ready(self) -> bool:
        """Whether messages are taken and ends made durable, now."""
        return self._ready.is_set() and self.intake.is_connected and self.outflow.is_healthy and not self.failure

    # -- what the belts ask -------------------------------------------------------------------------------------------

    def room(self) -> int:
        """Say how many messages to claim now: what can soon start, times the prefetch setting, in worthwhile portions."""
        if not self.outflow.is_healthy or self.outflow.backlog() > _MOST_UNCOMMITTED:
            return 0
        outstanding = self.jobs.size()
        concurrency = self.concurrency
        if self.app.conf.worker_disable_prefetch:
            return concurrency - outstanding
        ahead = concurrency * self.options.prefetch_multiplier or _MOST_PER_CLAIM
        room = max(self.pool.room(), ahead - outstanding)
        if outstanding > concurrency and room < outstanding:
            return 0  # all are busy and more is waiting: a larger claim in a moment is cheaper than a small one now
        return min(room, _MOST_PER_CLAIM)

    def _take(self, deliveries: Sequence[Delivery], generation: int, transport: Transport) -> None:
        jobs = self.admission.admit(deliveries, generation)
        if jobs:
            self.pool.submit(jobs)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start jobs whose turn comes outside of the intake; once the pool has stopped their messages go back."""
        if not self.pool_has_drained:
            self.pool.submit(jobs)
            return
        for held in self.jobs.take([job.id for job in jobs]):
            self.outflow.put(self.failures.back_uncounted(held))

    def _committed(self, count: int) -> None:
        self.intake.notice_room()

    def _connected(self, transport: Transport) -> None:
        self.admission.set_capabilities(transport.capabilities)
        if not self._ready.is_set():
            logger.info("%s ready.", self.node)
            self._ready.set()
            signals.worker_ready.send_robust(sender=self)

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = reason
            logger.critical("worker %s cannot go on: %s", self.node, reason)
            self._ready.set()
            self.on_failure(reason)

    def _stop_by_itself(self, reason: str) -> None:
        threading.Thread(target=self.stop, kwargs={"cold": True}, name="umbel-stop", daemon=True).start()

    def _shut_down_by_itself(self) -> None:
        threading.Thread(target=self.stop, name="umbel-stop", daemon=True).start()

    def restart_pool(self) -> None:
        """Make the pool anew when what runs has ended, in a thread of its own; returns at once. Any thread."""
        threading.Thread(target=restart_pool, args=(self,), name="umbel-pool-restart", daemon=True).start()

    def resize(self, concurrency: int) -> None:
        """Run so many tasks at once from now on; what runs is finished. Any thread."""
        self.pool.resize(concurrency)
        self.concurrency = concurrency
        self.intake.notice_room()

    # -- on the side --------------------------------------------------------------------------------------------------

    def purge(self) -> int:
        """Drop what waits in the worker's queues; return how many messages that were."""
        transport = self.app.open_transport()
        with contextlib.closing(transport):
            transport.declare(self.queues)
            return sum(transport.purge(queue.name) for queue in self.queues)

    def stats(self) -> dict[str, Any]:
        """Return figures for people: totals by task, how tasks ended, and those of each step."""
        return {
            "total": dict(self.translator.totals),
            "ends": dict(self.translator.kinds),
            "outstanding": self.jobs.size(),
            "waiting": len(self.admission.waiting()),
            "uptime": 0 if self.started_at is None else int(time.time() - self.started_at),
            **self.graph.info(),
        }
