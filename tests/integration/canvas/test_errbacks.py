"""Errbacks are called for every way in which a task has no result: limits and lost processes too, one by one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import TimeLimitExceeded, WorkerLostError
from umbel.worker import Worker

SOON_S = 30.0


def test_limits_and_lost_processes_call_each_errback(tmp_path: Path, until: Callable[..., None]) -> None:
    """The forms of Celery's old versions, too; that one raises stops no other."""
    url, notes = f"sqlite:///{tmp_path}/errbacks.db", tmp_path / "notes"
    notes.mkdir()
    with Umbel("errbacks", broker=url, backend=url, set_as_current=False, task_max_deliveries=1) as app:

        @app.task(name="too_long", time_limit=0.3)
        def too_long() -> None:
            threading.Event().wait(SOON_S)

        @app.task(name="dies")
        def dies() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        @app.task(name="raising")
        def raising(request: Any, exc: Any, traceback: Any) -> None:
            (notes / f"raising {request.id}").touch()
            raise ValueError("an errback of no use")

        @app.task(name="new_form")
        def new_form(request: Any, exc: Any, traceback: Any) -> None:
            (notes / f"new {request.id} {type(exc).__name__}").touch()

        @app.task(name="old_form")
        def old_form(task_id: str) -> None:
            (notes / f"old {task_id}").touch()

        errbacks = [raising.s(), new_form.s(), old_form.s()]
        ends = [(too_long, TimeLimitExceeded), (dies, WorkerLostError)]
        with Worker(app, pool="prefork", concurrency=1):
            expected = set()
            for task, error in ends:
                result = task.apply_async(link_error=errbacks)
                with pytest.raises(error):
                    result.get(timeout=SOON_S)
                name = error.__name__
                expected |= {f"raising {result.id}", f"new {result.id} {name}", f"old {result.id}"}
            until(lambda: {path.name for path in notes.iterdir()} >= expected, "the call of every errback")
        assert {path.name for path in notes.iterdir()} == expected
