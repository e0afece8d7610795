"""Finding an application by what is written after ``-A`` (C006), and the modules that it names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

from umbel.current import Application, current_app, has_current_app
from umbel.exceptions import ImproperlyConfigured
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["find_app", "import_related", "import_required"]

#: Attributes that may be the application, and submodules that may hold it, in this order.
_ATTRIBUTES: Final = ("app", "umbel", "celery")
_SUBMODULES: Final = ("umbel", "celery")
#: Where to look when nothing is said.
_USUAL_MODULES: Final = ("app", "tasks", "umbelapp", "celeryapp")


def find_app(spec: str | None, workdir: str | None = None) -> Umbel:
    """Return the application that *spec* names, importing its module with *workdir* on the path.

    ``module:attribute``, ``module.attribute``, or a module or package in which it is searched: ``app``, ``umbel``,
    ``celery``, any application; then the same in the submodules ``umbel`` and ``celery``. Without *spec* the
    current application is taken, else the modules ``app``, ``tasks``, ``umbelapp`` and ``celeryapp`` are tried.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` for a missing module or attribute, with the nearest name; an
    error inside the user's module gets out as it is.
    """
    directory = os.path.abspath(workdir or os.getcwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    if not spec:
        return _find_unnamed(directory)
    name, colon, attribute = spec.partition(":")
    if colon:
        module = _import(name, directory)
        return _attribute_of(module, attribute) if attribute else _search(module, directory)
    try:
        module = _import(name, directory)
    except ImproperlyConfigured:
        parent, _, last = name.rpartition(".")
        if not parent or not _exists(parent):
            raise
        return _attribute_of(_import(parent, directory), last)
    return _search(module, directory)


def _find_unnamed(directory: str) -> Umbel:
    if has_current_app():  # the program was started by app.start(), or from a test
        return current_app()
    for name in _USUAL_MODULES:
        if _exists(name):
            return _search(_import(name, directory), directory)
    raise ImproperlyConfigured(
        f"no application named, and none of the modules {', '.join(_USUAL_MODULES)} is in {directory}: give it with "
        f"-A module:name, or say where with --workdir"
    )


def _search(module: ModuleType, directory: str) -> Umbel:
    found = _application_in(module)
    if found is None and hasattr(module, "__path__"):
        for name in _SUBMODULES:
            if _exists(f"{module.__name__}.{name}"):
                found = _application_in(_import(f"{module.__name__}.{name}", directory))
            if found is not None:
                break
    if found is None:
        raise ImproperlyConfigured(
            f"module {module.__name__!r} ({getattr(module, '__file__', 'a package')}) has no application: expected "
            f"something like app = Umbel({module.__name__!r}) in it"
        )
    return found


def _application_in(module: ModuleType) -> Umbel | None:
    values = vars(module)
    named = [values[name] for name in _ATTRIBUTES if isinstance(values.get(name), Application)]
    others = [value for value in values.values() if isinstance(value, Application)]
    return cast("Umbel", (named or others)[0]) if named or others else None


def _attribute_of(module: ModuleType, path: str) -> Umbel:
    value: object = module
    for name in path.split("."):
        if not hasattr(value, name):
            raise ImproperlyConfigured(
                f"module {module.__name__!r} has no attribute {name!r}{suggest(name, dir(value))}"
            )
        value = getattr(value, name)
    if isinstance(value, ModuleType):
        return _search(value, os.getcwd())
    if not isinstance(value, Application):
        raise ImproperlyConfigured(f"{module.__name__}:{path}: expected an application (Umbel(...)), got {value!r}")
    return cast("Umbel", value)


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _import(name: str, directory: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not _is_about(error, name):
            raise
        known = [module.name for module in pkgutil.iter_modules([directory])]
        raise ImproperlyConfigured(
            f"no module named {error.name!r}, looked for in {directory} and on the Python path"
            f"{suggest(name.partition('.')[0], known)}"
        ) from error


def _is_about(error: ModuleNotFoundError, name: str) -> bool:
    """Whether the missing module is *name* or a package it is in, and not one that it imports itself."""
    return error.name is not None and (name == error.name or name.startswith(f"{error.name}."))


def import_required(names: Iterable[str]) -> None:
    """Import the modules of ``imports`` and ``include``; a missing one is an error, as is one that fails."""
    for name in names:
        _import(name, os.getcwd())


def import_related(packages: Iterable[str], related_name: str | None) -> None:
    """Import ``package.related_name`` where there is one (``None``: the package itself); errors inside get out."""
    for package in packages:
        name = f"{package}.{related_name}" if related_name else package
        _import(package, os.getcwd())
        if related_name is None or _exists(name):
            importlib.import_module(name)
