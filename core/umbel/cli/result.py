"""``umbel result``: what became of a task."""

from __future__ import annotations

import json
from typing import Any

import click

from umbel.cli.session import Session
from umbel.exceptions import UmbelError

__all__ = ["command", "exit_code", "show_result"]


@click.command("result")
@click.argument("task_id")
@click.option("-t", "--task", metavar="NAME", help="The task's name, where it has a result backend of its own.")
@click.option("--traceback", is_flag=True, help="Show the traceback instead of the result.")
@click.option("-w", "--wait", "wait_s", type=float, metavar="S", help="Wait so long for the end.")
@click.pass_obj
def command(session: Session, task_id: str, task: str | None, traceback: bool, wait_s: float | None) -> int:
    """Print the result of the call TASK_ID; exit with 1 when it has failed, and with 2 when it has not ended."""
    app = session.app
    result: Any
    if task is None:
        result = app.AsyncResult(task_id)
    else:
        app.import_modules()
        app.finalize()
        result = app.tasks[task].AsyncResult(task_id)
    if wait_s is not None:
        try:
            result.get(timeout=wait_s, propagate=False)
        except TimeoutError as error:
            raise UmbelError(f"task {task_id} has not ended within {wait_s} s") from error
    if traceback:
        click.echo(result.traceback or f"no traceback: the state is {result.state}")
        return exit_code(result)
    return show_result(result)


def show_result(result: Any) -> int:
    """Print what became of a task and return the exit code that says it."""
    state = result.state
    if state == "SUCCESS":
        click.echo(json.dumps(result.result, default=repr))
    elif result.failed() or state == "REVOKED":
        click.echo(f"{state}: {result.result!r}")
    else:
        click.echo(f"{state}: not ended" + (" or not known" if state == "PENDING" else ""))
    return exit_code(result)


def exit_code(result: Any) -> int:
    """Return 0 for a success, 2 for a task that has not ended, else 1."""
    if not result.ready():
        return 2
    return 0 if result.successful() else 1
