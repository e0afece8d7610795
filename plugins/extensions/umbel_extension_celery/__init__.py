"""Celery projects run on Umbel, unchanged: ``import celery`` means Umbel once :func:`install` was called.

The folder ``as_celery`` holds a package ``celery`` with Celery's public modules; behind its names are Umbel's own
classes, and what stands here beside them. ``umbel.install_as_celery()`` puts that folder first on the import path;
``umbel celery ...`` does so for a command line; ``PYTHONPATH=$(umbel celery --path)`` for any Python program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel_extension_celery.installing import install

if TYPE_CHECKING:
    import click

__all__ = ["install", "plugin_info", "umbel_cli_commands", "umbel_surround_task", "umbel_worker_steps"]

plugin_info = PluginInfo(
    kind="extension",
    names=("celery",),
    summary="runs Celery projects on Umbel, and tells what moving one over means",
)


@hookimpl
def umbel_cli_commands() -> Sequence[click.Command]:
    """``umbel celery`` and ``umbel migrate``."""
    from umbel_extension_celery.commands import commands  # for start-up: every worker loads its extensions

    return commands()


@hookimpl
def umbel_worker_steps(app: Any) -> Sequence[type[Any]]:
    """Start what a Celery project has added to its consumers; the worker itself is their parent."""
    return sorted(app.steps.get("consumer", ()), key=lambda step: step.__name__)


@hookimpl
def umbel_surround_task(app: Any, task: Any) -> Callable[[Any, Callable[[], bytes]], bytes] | None:
    """Let what third parties put into ``celery.app.trace.build_tracer`` stand around the task's runs."""
    from umbel_extension_celery.tracing import surround  # for start-up, as above

    return surround(app, task)
