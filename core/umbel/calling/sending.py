"""Calls on their way out: one, many of one task, and workflows. Each takes one request to the broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.batches import Alike, Batch, prepare_call
from umbel.calling.options import check_arguments, check_options
from umbel.calling.publisher import Publisher
from umbel.context import top_frame
from umbel.model import Publication, Queue
from umbel.results import AsyncResult
from umbel.results.lineage import tuple_of
from umbel.signals import task_sent

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.canvas.planning import PlannedCall
    from umbel.results.sets import Member
    from umbel.task import Task

__all__ = ["Calls", "add_child", "prepare_planned", "publish"]

#: How many earlier steps a child is noted with: a document that is nested deeper cannot be written by every serializer.
_MOST_STEPS: Final = 100


class Calls:
    """Sends the calls of an application. Thread-safe."""

    def __init__(self, app: Umbel) -> None:
        self._app = app

    def send(
        self, task: Task[..., Any] | None, name: str, args: Any, kwargs: Any, options: Mapping[str, Any]
    ) -> AsyncResult[Any]:
        """Send one call and return its result; :meth:`umbel.Task.apply_async` says the rest."""
        app = self._app
        args, kwargs = check_arguments(name, args, kwargs)
        if options:
            check_options(options, f"{name}.apply_async")
        task_id, publication = prepare_call(app, task, name, args, kwargs, options)
        if options:
            publish(app.publisher, [publication], options)
            result_class: type[AsyncResult[Any]] = options.get("result_cls") or AsyncResult
            result = result_class(task_id, None if task is None else task.backend_url, None, app)
        else:
            app.publisher.send([publication])
            result = AsyncResult(task_id, None if task is None else task.backend_url, None, app)
        if publication.message.headers.get("ignore_result"):
            result.ignored = True
        if options.get("add_to_parent", True):
            add_child(result)
        if task_sent.receivers:
            task_sent.send_robust(
                sender=name, task_id=task_id, task=name, args=args, kwargs=kwargs, eta=options.get("eta"), taskset=None
            )
        return result

    def send_many(
        self, task: Task[..., Any], calls: Iterable[Any], options: Mapping[str, Any]
    ) -> list[AsyncResult[Any]]:
        """Send many calls of one task in one request; return their results in order.

        Each of *calls* is a tuple or list of positional arguments, or a dict of keyword arguments.
        """
        app = self._app
        if options:
            check_options(options, f"{task.name}.delay_many")
        batch = Batch(app, task, options)
        prepared = [batch.prepare(call) for call in calls]
        if prepared:
            publish(app.publisher, [publication for _, publication in prepared], options)
        backend_url = task.backend_url
        results: list[AsyncResult[Any]] = [AsyncResult(task_id, backend_url, None, app) for task_id, _ in prepared]
        if prepared and prepared[0][1].message.headers.get("ignore_result"):
            for result in results:
                result.ignored = True
        if top_frame() is not None and options.get("add_to_parent", True):
            for result in results:
                add_child(result)
        return results


def prepare_planned(app: Umbel, calls: Sequence[PlannedCall]) -> list[Publication]:
    """Route and encode the calls of a workflow, without I/O."""
    # Arguments are checked where a person wrote the call; here they are results, and a mistake ends in a worker's log.
    alike = Alike(app)
    return [alike.prepare(call.name, call.args, call.kwargs, call.options) for call in calls]


def publish(publisher: Publisher, publications: Sequence[Publication], options: Mapping[str, Any]) -> None:
    """Publish under the options ``timeout``, ``retry``, ``retry_policy``, ``connection`` and ``declare``."""
    if not options:
        publisher.send(publications)
        return
    timeouts = [options[name] for name in ("timeout", "confirm_timeout", "connect_timeout") if options.get(name)]
    publisher.send(
        publications,
        min(timeouts) if timeouts else None,
        retry=options.get("retry"),
        policy=options.get("retry_policy"),
        transport=options.get("connection") or options.get("producer") or options.get("publisher"),
        declare=[queue for queue in options.get("declare") or () if isinstance(queue, Queue)],
    )


def add_child(result: Member) -> None:
    """Note *result* among the children of the running task, where one runs and keeps a trail."""
    frame = top_frame()
    if frame is not None and frame.task.trail and not frame.request.called_directly:
        frame.request.children.append(tuple_of(result, _MOST_STEPS))
