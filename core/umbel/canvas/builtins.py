"""The tasks that every application has, under Celery's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from umbel.canvas.signature import maybe_signature

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["add_builtin_tasks"]


def add_builtin_tasks(app: Umbel) -> None:
    """Register the built-in tasks with *app*."""

    @app.task(name="celery.map", typing=False)
    def xmap(task: Any, it: Sequence[Any]) -> list[Any]:
        """Run *task* for each item."""
        run = maybe_signature(task, app=app)
        return [] if run is None else [run.type(item) for item in it]

    @app.task(name="celery.starmap", typing=False)
    def xstarmap(task: Any, it: Sequence[Sequence[Any]]) -> list[Any]:
        """Run *task* for each item, a list of arguments."""
        run = maybe_signature(task, app=app)
        return [] if run is None else [run.type(*item) for item in it]

    @app.task(name="celery.accumulate", typing=False)
    def accumulate(*args: Any, **kwargs: Any) -> Any:
        """Return the arguments, or the one that *index* names."""
        index = kwargs.get("index")
        return list(args) if index is None else args[index]

    @app.task(name="celery.backend_cleanup", typing=False, ignore_result=True)
    def backend_cleanup() -> int:
        """Remove results whose time is over."""
        return app.backend.expire(app.now().timestamp())
