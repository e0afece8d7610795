"""Automatic task names: the module and the function, the same in the caller and in the worker."""

from __future__ import annotations

import os
import sys

__all__ = ["module_name_of_main", "task_name"]


def task_name(name: str, module: str | None, main: str | None) -> str:
    """Return ``module.name``; for a function of the program itself, *main* (the application's name) is the module."""
    if module in {None, "__main__", "__mp_main__"}:
        module = main or module_name_of_main()
    return f"{module}.{name}" if module else name


def module_name_of_main() -> str:
    """Return under which name a worker would import the running program: ``__main__`` when it has no file."""
    program = sys.modules.get("__main__")
    spec = getattr(program, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name.removesuffix(".__main__"))
    path = getattr(program, "__file__", None)
    return os.path.splitext(os.path.basename(path))[0] if path else "__main__"
