"""What each step of a plain task costs by itself: one process, no broker, the best of many, so other load hardly shows."""

from __future__ import annotations

import time
import uuid

from umbel import Umbel
from umbel.calling.batches import prepare_call
from umbel.model import Delivery, Message
from umbel.worker.admission import Admission
from umbel.worker.endings import merge
from umbel.worker.executor import TaskExecutor
from umbel.worker.held import Jobs
from umbel.worker.outflow import Batch
from umbel.worker.reports import Translator

TITLE = "steps: CPU in us a task of each step of its way, without broker and pool"
ONCE = True
MANY, TIMES = 200, 200


def best(step, prepare=tuple):
    """Return what *step*, which does MANY tasks, costs a task; *prepare* gives its arguments."""
    found = []
    for _ in range(TIMES):
        arguments = prepare()
        began = time.perf_counter()
        step(*arguments)
        found.append(time.perf_counter() - began)
    return 1e6 * min(found) / MANY


class Way:
    """The parts of a worker that a task passes, put together without threads."""

    def __init__(self, task, app):
        self.app = app
        _, self.publication = prepare_call(app, task, task.name, (), {}, {})
        self.executor = TaskExecutor(app, "bench", stores=True)
        self.jobs = Jobs()
        self.admission = Admission(app, self.jobs, None, None, None, None)
        self.translate = Translator(app, self.jobs, None)

    def deliveries(self):
        message = self.publication.message
        made = Message(message.body, dict(message.headers), message.properties, message.content_type, "utf-8")
        return [Delivery(made, "celery", number, "", "celery") for number in range(MANY)]

    def admitted(self):
        return self.admission.admit(self.deliveries(), 1)

    def finished(self):
        self.jobs.take_all()
        return [(job.id, self.executor.execute(job.payload)) for job in self.admitted()], Batch()

    def costs(self):
        """Return the row of this task."""
        payloads = [job.payload for job in self.admitted()]
        execute = self.executor.execute
        return {
            "admit": best(lambda found: self.admission.admit(found, 1), lambda: (self.deliveries(),)),
            "execute": best(lambda: [execute(payload) for payload in payloads]),
            "collect": best(self.translate_and_merge, self.finished),
        }

    def translate_and_merge(self, outcomes, batch):
        self.translate(outcomes, batch)
        merge(batch.acks, batch.endings)


def envelopes(publication):
    """Return what Redis's envelope costs, where its driver is installed."""
    try:
        from umbel_transport_redis.envelope import decode, encode
    except ImportError:
        return {}
    raw = encode(publication, "", "celery", 0)
    return {
        "encode envelope": best(lambda: [encode(publication, "", "celery", 0) for _ in range(MANY)]),
        "decode envelope": best(lambda: [decode(raw, "celery", None) for _ in range(MANY)]),
    }


def run(options, broker):
    app = Umbel("steps", broker="memory://", backend="memory://", set_as_current=False)

    @app.task(ignore_result=True)
    def noop():
        pass

    @app.task
    def kept():
        return 1

    app.finalize()
    rows = []
    for task in (noop, kept):
        way = Way(task, app)
        call = best(lambda task=task: [prepare_call(app, task, task.name, (), {}, {}) for _ in range(MANY)])
        rows.append({"system": task.name, "prepare call": call, **envelopes(way.publication), **way.costs()})
    rows.append(
        {"system": "yardstick: str(uuid.uuid4())", "admit": best(lambda: [str(uuid.uuid4()) for _ in range(MANY)])}
    )
    return rows, {}
