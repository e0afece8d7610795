"""The command ``umbel migrate``."""

from __future__ import annotations

import click

__all__ = ["migrate"]


@click.command("migrate")
@click.argument("project", type=click.Path(exists=True))
def migrate(project: str) -> None:
    """Read a Celery project without running it, and tell what to change."""
    raise click.ClickException("not yet")
