"""``umbel shell``: a Python prompt with the application and its tasks at hand."""

from __future__ import annotations

import code
import importlib
import sys
from typing import Any

import click

from umbel.cli.session import Session

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command"]


@click.command("shell")
@click.option("-I", "--ipython", "kind", flag_value="ipython", help="IPython.")
@click.option("-B", "--bpython", "kind", flag_value="bpython", help="bpython.")
@click.option("--python", "kind", flag_value="python", help="The plain Python prompt.")
@click.option("-T", "--without-tasks", is_flag=True, help="Do not put the tasks into the namespace.")
@click.pass_obj
def command(session: Session, kind: str | None, without_tasks: bool) -> int:
    """Start a Python shell with the application loaded as app, and each task under its function's name."""
    namespace = _namespace(session.app, with_tasks=not without_tasks)
    text = f"Umbel shell. Here are: {', '.join(sorted(namespace))}"
    for name, start in (("ipython", _ipython), ("bpython", _bpython), ("python", _python)):
        if kind not in (None, name):
            continue
        try:
            start(namespace, text)
        except ImportError:
            if kind is not None:
                raise click.ClickException(f"{name} is not installed; pip install {name}, or use --python") from None
        else:
            return 0
    return 0


def _namespace(app: Any, *, with_tasks: bool) -> dict[str, Any]:
    import umbel

    names = ("chain", "chord", "chunks", "group", "signature", "xmap", "xstarmap")
    namespace = {name: getattr(umbel, name) for name in names if hasattr(umbel, name)}
    namespace["app"] = app
    if with_tasks:
        app.import_modules()
        app.finalize()
        for name, task in app.tasks.regular().items():
            short = name.rpartition(".")[2]
            if short.isidentifier():
                namespace.setdefault(short, task)
    return namespace


def _ipython(namespace: dict[str, Any], text: str) -> None:
    ipython = importlib.import_module("IPython")
    ipython.embed(user_ns=namespace, banner1=text)


def _bpython(namespace: dict[str, Any], text: str) -> None:
    bpython = importlib.import_module("bpython")
    bpython.embed(locals_=namespace, banner=text)


def _python(namespace: dict[str, Any], text: str) -> None:
    if sys.stdin.isatty():
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(namespace).complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner=text, local=namespace, exitmsg="")
