"""``umbel report``: what belongs into a bug report."""

from __future__ import annotations

import click

from umbel.cli.session import Session

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command"]


@click.command("report")
@click.option("--with-defaults", is_flag=True, help="Show all settings, not only those that were set.")
@click.pass_obj
def command(session: Session, with_defaults: bool) -> int:
    """Show software and settings for a bug report; passwords are masked."""
    from umbel.bugreport import report_text

    click.echo(report_text(session.app if session.app_spec else None, with_defaults=with_defaults))
    return 0
