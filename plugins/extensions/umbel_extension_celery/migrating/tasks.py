"""The tasks of a project, and the classes that it derives from Celery's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from umbel.suggestions import suggest
from umbel.task_attributes import OPTION_NAMES
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.imports import imported_names
from umbel_extension_celery.migrating.reading import Project, Source
from umbel_extension_celery.migrating.shim_names import module_is_there

__all__ = ["find_tasks_and_classes"]

_DECORATORS: Final = frozenset({"task", "shared_task", "periodic_task"})
_ALSO: Final = frozenset({"run_every", "connect"})
#: Option -> what is worth knowing of it.
_REMARKS: Final = {
    "rate_limit": "kept by each worker as in Celery, and limited tasks do not hold up others in the queue",
    "time_limit": "a pool that cannot end tasks refuses it at start, where Celery's would ignore it",
    "soft_time_limit": "a pool that cannot interrupt tasks refuses it at start, where Celery's would ignore it",
}
#: Celery's class -> how classes that are made of it run.
_BASES: Final = {
    "celery.Task": "runs as it is",
    "celery.app.task.Task": "runs as it is",
    "celery.Celery": "runs as it is",
    "celery.beat.Scheduler": "a scheduler of the project's own runs through an adapter",
    "celery.beat.PersistentScheduler": "a scheduler of the project's own runs through an adapter",
    "celery.beat.ScheduleEntry": "runs as it is",
    "celery.backends.base.BaseBackend": "a result store of the project's own runs through an adapter",
    "celery.backends.base.KeyValueStoreBackend": "a result store of the project's own runs through an adapter",
    "celery.concurrency.base.BasePool": "a pool of the project's own runs through an adapter",
    "celery.bootsteps.Step": "runs as a step of Umbel's worker",
    "celery.bootsteps.StartStopStep": "runs as a step of Umbel's worker",
    "celery.bootsteps.ConsumerStep": "runs as a step of Umbel's worker",
}


def find_tasks_and_classes(project: Project) -> Iterator[Finding]:
    """Yield a finding for each option that tasks of *project* have, and each class made of one of Celery's."""
    options: dict[str, list[tuple[str, int]]] = {}
    tasks: list[tuple[str, int]] = []
    for source in project.python:
        meanings = imported_names(source)
        for node in ast.walk(source.tree) if source.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in _task_decorators(node, bool(meanings)):
                    tasks.append((source.name, node.lineno))
                    for name, line in _options(decorator):
                        options.setdefault(name, []).append((source.name, line))
            elif isinstance(node, ast.ClassDef):
                yield from _class(node, meanings, source)
    if tasks:
        file, line = tasks[0]
        yield Finding(Level.MAPS, "task", f"{len(tasks)} task(s), the first one here", "", file, line)
    for name, places in options.items():
        yield _option(name, places)


def _task_decorators(function: ast.FunctionDef | ast.AsyncFunctionDef, uses_celery: bool) -> Iterator[ast.expr]:
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, ast.Attribute):
            # @app.task, also where the application comes from another file of the project.
            if target.attr in _DECORATORS:
                yield decorator
        elif isinstance(target, ast.Name) and target.id in _DECORATORS and uses_celery:
            yield decorator


def _options(decorator: ast.expr) -> Iterator[tuple[str, int]]:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg is not None:
            yield keyword.arg, keyword.value.lineno


def _option(name: str, places: list[tuple[str, int]]) -> Finding:
    file, line = places[0]
    what = f"option {name} of {len(places)} task(s)"
    if name in _REMARKS:
        return Finding(Level.DIFFERS, "task", what, _REMARKS[name], file, line)
    if name in OPTION_NAMES or name in _ALSO:
        return Finding(Level.MAPS, "task", what, "", file, line)
    advice = f"no option of Umbel's: kept as an attribute of the task{suggest(name, OPTION_NAMES)}"
    return Finding(Level.DIFFERS, "task", what, advice, file, line)


def _class(node: ast.ClassDef, meanings: dict[str, str], source: Source) -> Iterator[Finding]:
    for base in node.bases:
        name, dot, rest = ast.unparse(base).partition(".")
        if name not in meanings:
            continue
        full = meanings[name] + dot + rest
        module = full.rpartition(".")[0]
        if full in _BASES:
            yield Finding(Level.MAPS, "class", f"{node.name} of {full}", _BASES[full], source.name, node.lineno)
        elif module_is_there(module):
            advice = "no class that Celery documents for this: run the project's tests on it"
            yield Finding(Level.DIFFERS, "class", f"{node.name} of {full}", advice, source.name, node.lineno)
