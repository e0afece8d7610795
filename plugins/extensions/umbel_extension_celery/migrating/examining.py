"""Everything that is looked at in a project, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from umbel.host import Host
from umbel_extension_celery.migrating.command_lines import find_command_lines
from umbel_extension_celery.migrating.findings import Finding, Report
from umbel_extension_celery.migrating.imports import find_imports, imported_names
from umbel_extension_celery.migrating.reading import Project, read_project
from umbel_extension_celery.migrating.requirements import find_requirements
from umbel_extension_celery.migrating.setting_rules import judge_settings
from umbel_extension_celery.migrating.tasks import find_tasks_and_classes

__all__ = ["examine"]


def examine(root: Path) -> Report:
    """Read the project at *root* and return what moving it to Umbel means."""
    project = read_project(root)
    return Report(str(root), project.files, tuple(_findings(project)), project.skipped)


def _findings(project: Project) -> Iterator[Finding]:
    host = Host()
    for source in project.python:
        yield from find_imports(source)
    if any(imported_names(source) for source in project.python):  # other things are called tasks and settings too
        yield from judge_settings(project, host)
        yield from find_tasks_and_classes(project)
    for source in project.command_files:
        yield from find_command_lines(source)
    for source in project.requirement_files:
        yield from find_requirements(source, host)
