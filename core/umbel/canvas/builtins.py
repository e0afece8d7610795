"""The tasks that every application has, under Celery's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.canvas.batched import chunks
from umbel.canvas.composed import chain, chord, group
from umbel.canvas.signature import Signature, maybe_signature

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import Task

__all__ = ["add_builtin_tasks"]


def add_builtin_tasks(app: Umbel) -> None:
    """Register the built-in tasks with *app*."""

    @app.task(name="celery.map", typing=False)
    def xmap(task: Any, it: Sequence[Any]) -> list[Any]:
        """Run *task* for each item."""
        run = _function(app, task)
        return [run(item) for item in it]

    @app.task(name="celery.starmap", typing=False)
    def xstarmap(task: Any, it: Sequence[Sequence[Any]]) -> list[Any]:
        """Run *task* for each item, a list of arguments."""
        run = _function(app, task)
        return [run(*item) for item in it]

    @app.task(name="celery.accumulate", typing=False)
    def accumulate(*args: Any, **kwargs: Any) -> Any:
        """Return the arguments, or the one that *index* names."""
        index = kwargs.get("index")
        return list(args) if index is None else args[index]

    @app.task(name="celery.backend_cleanup", typing=False, ignore_result=True)
    def backend_cleanup() -> int:
        """Remove results whose time is over."""
        return app.backend_for(None).expire(app.now().timestamp())

    _add_composed(app)
    _add_unlock(app)
    _add_stored(app)


def _function(app: Umbel, task: Any) -> Callable[..., Any]:
    """Return what a signature of one task calls, with the keyword arguments that it has."""
    signature = maybe_signature(task, app=app)
    if signature is None:
        raise TypeError("celery.map, celery.starmap: expected a signature as task, got None")
    found, kwargs = signature.type, signature.kwargs
    return (lambda *args: found(*args, **kwargs)) if kwargs else found


def _add_composed(app: Umbel) -> None:
    """Workflows that were sent as calls of a task, by producers that have no signatures."""

    @app.task(name="celery.group", bind=True, typing=False)
    def run_group(task: Task[..., Any], tasks: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """Become a group of *tasks*."""
        return task.replace(group(tasks, app=app))

    @app.task(name="celery.chain", bind=True, typing=False)
    def run_chain(task: Task[..., Any], tasks: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """Become a chain of *tasks*."""
        return task.replace(chain(tasks, app=app))

    @app.task(name="celery.chord", bind=True, typing=False)
    def run_chord(task: Task[..., Any], header: Any, body: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Become a chord."""
        return task.replace(chord(header, body, app=app))

    @app.task(name="celery.chunks", bind=True, typing=False)
    def run_chunks(self: Task[..., Any], task: Any, it: Any, n: int, *args: Any, **kwargs: Any) -> Any:
        """Become a group of calls of *n* items each."""
        return self.replace(chunks(task, it, n, app=app))


def _add_unlock(app: Umbel) -> None:
    """The way in which Celery's producers have chords end where their result store cannot count."""

    @app.task(name="celery.chord_unlock", bind=True, typing=False, max_retries=None, ignore_result=True)
    def unlock_chord(
        task: Task[..., Any],
        /,
        group_id: str,
        callback: Mapping[str, Any],
        interval: float | None = None,
        max_retries: int | None = None,
        result: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        """Call *callback* when all of *result* have ended; else look again after *interval* seconds (B534)."""
        members = app.ResultSet([app.result_from_tuple(member) for member in result])
        if not members.ready():
            pause = app.conf.result_chord_retry_interval if interval is None else interval
            raise task.retry(countdown=pause, max_retries=max_retries)
        from umbel.canvas.chords import end_chord  # brings the protocol: for start-up, few programs come here

        end_chord(app, group_id, callback, members)


def _add_stored(app: Umbel) -> None:
    """What stands in a message for stored steps, where it is called by somebody who takes it for a task."""

    @app.task(name="umbel.stored", bind=True, typing=False)
    def run_stored(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Become the step that is stored."""
        found = {"task": "umbel.stored", "kwargs": kwargs, "options": {"task_id": task.request.id}}
        step, further = app.workflows.records.unfolded(found)
        task.request.chain = [*(task.request.chain or ()), *further]
        return task.replace(Signature.from_dict(step, app).clone(args))
