"""The command ``umbel migrate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from umbel_extension_celery.migrating.examining import examine

__all__ = ["migrate"]


@click.command("migrate")
@click.argument("project", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@click.pass_context
def migrate(context: click.Context, project: Path, as_json: bool) -> None:
    """Read a Celery project without running it, and tell what to change.

    PROJECT is its folder, or one file. The report lists what must be changed before the project runs on Umbel under
    Celery's names, what will differ and why, and what maps, each with its file and line. The exit code is 1 when something
    must be changed and 0 when everything maps. Files that cannot be read are named and skipped.
    """
    report = examine(project)
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    context.exit(1 if report.must_change else 0)
