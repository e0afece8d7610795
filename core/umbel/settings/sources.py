"""Where settings come from: files, modules, objects, the environment. Each source is read into :class:`Given` rows.

Reading says nothing of meaning: names are resolved and values checked when a configuration takes the rows.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, NamedTuple

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.names import looks_like_ours, resolve, unknown
from umbel.settings.notices import ForeignSettingWarning, warn
from umbel.settings.schema import GROUPS, OPTIONS

__all__ = ["Given", "Text", "find_files", "load_object", "read_environment", "read_file", "read_mapping", "read_object"]


class Text(str):
    """A value that is text because its source has no other type: it is parsed as its setting's type."""

    __slots__ = ()


class Given(NamedTuple):
    """One setting as a source gives it; *name* as written, or ``section.key``."""

    name: str
    value: Any
    place: str


# -- mappings ---------------------------------------------------------------------------------------------------------


def read_mapping(values: Mapping[str, Any], place: str) -> list[Given]:
    """Read *values*: settings by name, ``{"worker": {"concurrency": 4}}`` by group, plugins' sections by plugin."""
    return [Given(name, value, place) for name, value in _flatten(values)]


def _flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if not isinstance(name, str):
            raise ImproperlyConfigured(f"expected the name of a setting, got {name!r}")
        if not isinstance(value, Mapping) or resolve(name) is not None:
            yield name, value
        elif name in GROUPS:
            yield from ((f"{name}_{key}", item) for key, item in value.items())
        elif name.isupper() or ("_" in name and name.partition("_")[0] in GROUPS):
            yield name, value  # a misspelt setting that is a mapping, not a section
        else:
            yield from ((f"{name}.{key}", item) for key, item in value.items())


# -- files ------------------------------------------------------------------------------------------------------------


def find_files(directory: str) -> list[str]:
    """Return the configuration files of *directory*, the strongest last."""
    return [path for name in ("pyproject.toml", "umbel.toml") if os.path.isfile(path := os.path.join(directory, name))]


def read_file(path: str) -> list[Given]:
    """Read an ``umbel.toml``, or the table ``[tool.umbel]`` of a ``pyproject.toml``."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"cannot read the configuration file {path}: {error}") from error
    is_pyproject = os.path.basename(path) == "pyproject.toml"
    if is_pyproject and "umbel" not in text:  # most are other people's: not worth parsing, and not ours to judge
        return []
    import tomllib  # costs milliseconds; many programs have no such file

    try:
        document: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ImproperlyConfigured(_explain(path, text, str(error))) from error
    prefix = ""
    if is_pyproject:
        prefix = "tool.umbel"
        document = document.get("tool", {}).get("umbel", {})
    return [Given(name, value, _place(path, text, prefix, name)) for name, value in _flatten(document)]


_WHERE: Final = re.compile(r" \(at line (\d+), column (\d+)\)$")


def _explain(path: str, text: str, error: str) -> str:
    """Turn the parser's sentence into the file, the line, what stands there, and what to do."""
    found = _WHERE.search(error)
    lines = text.splitlines()
    number = int(found[1]) if found else len(lines)
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    hint = "correct this line"
    if re.search(r"=\s*(True|False)\b", line):
        hint = "TOML writes true and false in lower case"
    elif re.search(r"=\s*None\b", line):
        hint = "TOML has no None: leave the line out"
    elif re.search(r"=\s*[A-Za-z_/]", line):
        hint = "put text between quotes"
    return f"{path}, line {number}: {_WHERE.sub('', error)}, in {line!r}; {hint}"


def _place(path: str, text: str, prefix: str, name: str) -> str:
    """Say in which line of the file *name* stands, where that can be told."""
    keys = {name, name.rpartition(".")[2], name.partition("_")[2]}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            table = header[1].removeprefix(prefix).strip(".")
            if header[1].startswith(prefix) and table.replace(".", "_").startswith(name.replace(".", "_")):
                return f"{path}, line {number}"
        elif (key := re.match(r"\s*[\"']?([\w-]+)", line)) and key[1] in keys:
            full = f"{table}.{key[1]}".strip(".")
            if name in (full, full.replace(".", "_", 1)):
                return f"{path}, line {number}"
    return path


# -- modules and objects ----------------------------------------------------------------------------------------------


def load_object(name: str) -> Any:
    """Import what *name* (``module``, ``module:attribute``, ``module.Attribute``) says.

    The working directory is importable meanwhile, and only then (B1168). An error inside the module is not hidden
    (B1121); a module that is not there is an :class:`ImproperlyConfigured` (B1120).
    """
    module_name, _, attribute = name.partition(":")
    with _working_directory_importable():
        try:
            found: Any = _import(module_name)
        except ModuleNotFoundError as error:
            parent, _, last = module_name.rpartition(".")
            if error.name != module_name or not parent or attribute:
                raise
            found, attribute = _import(parent), last
            if not hasattr(found, last):
                raise _missing(module_name) from error
    for part in filter(None, attribute.split(".")):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ImproperlyConfigured(
                f"the configuration {name!r} cannot be read: {module_name!r} has no {part!r}"
            ) from error
    return found


def _import(name: str) -> ModuleType:
    import importlib  # loaded long since by the interpreter, but its name is needed here alone

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # only the absence of the module that was asked for is ours to tell
        if error.name == name and "." in name:
            raise
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise _missing(name) from error
        raise
    except (TypeError, ValueError) as error:
        if name and not name.startswith("."):
            raise
        raise ImproperlyConfigured(f"expected the name of a configuration module, got {name!r}") from error


def _missing(name: str) -> ImproperlyConfigured:
    hint = f"write {name[:-3]!r}, without '.py'" if name.endswith(".py") else "check its spelling"
    return ImproperlyConfigured(
        f"there is no configuration module {name!r}; looked in {os.getcwd()} and on sys.path; {hint}"
    )


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    directory = os.getcwd()
    if directory in sys.path or ("" in sys.path):
        yield
        return
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        if directory in sys.path:
            sys.path.remove(directory)


def read_object(source: Any, place: str, namespace: str | None = None, *, strict: bool = True) -> list[Given]:
    """Read the attributes of *source* that are settings; with *namespace* those that begin with it (``CELERY_...``).

    What is no setting is passed over (a module has imports and variables of its own), unless its name says that it was
    meant to be one. Unless *strict*, all that is no module and no function is given as it is.
    """
    if namespace:
        return _read_namespace(source, place, namespace, strict=strict)
    given = []
    for name, value in _attributes(source):
        if resolve(name) is not None:
            given.append(Given(name, value, place))
        elif isinstance(value, ModuleType) or callable(value):
            continue
        elif not strict:
            given.append(Given(name, value, place))
        elif looks_like_ours(name):
            raise unknown(name, place)
    return given


def _read_namespace(source: Any, place: str, namespace: str, *, strict: bool) -> list[Given]:
    prefix = namespace.rstrip("_") + "_"
    given = []
    for name, value in _attributes(source):
        if not name.startswith(prefix):
            continue
        rest = name[len(prefix) :].lower()
        if rest in OPTIONS or resolve(rest) is not None:
            given.append(Given(rest, value, f"{place} ({name})"))
        elif resolve(name) is not None:
            given.append(Given(name, value, place))
        elif not strict:
            given.append(Given(rest, value, f"{place} ({name})"))
        elif looks_like_ours(rest):
            raise unknown(rest, f"{place} ({name})")
        else:  # of a package that extends Celery: not ours to refuse
            warn(f"{name}, in {place}, is no setting of Umbel: it is passed over", ForeignSettingWarning)
    return given


def _attributes(source: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(source, Mapping):
        yield from source.items()
        return
    for name in dir(source):
        if not name.startswith("_"):
            yield name, getattr(source, name)


# -- the environment --------------------------------------------------------------------------------------------------

#: Variables of Celery's that are read too; UMBEL_ goes before them.
_CELERYS: Final = {
    "CELERY_BROKER_URL": "broker_url",
    "CELERY_BROKER_READ_URL": "broker_read_url",
    "CELERY_BROKER_WRITE_URL": "broker_write_url",
    "CELERY_RESULT_BACKEND": "result_backend",
}

#: Variables of Umbel's programs that are no settings.
_PROGRAMS: Final = re.compile(
    r"(HOME|APP|CONFIG|CONFIG_MODULE|LOADER|WORKDIR|SKIP_CHECKS|NO_COLOR|QUIET|(TEST|BENCH|DEBUG)(_.*)?)$"
)

#: What Kubernetes and Docker set for a service that is called ``umbel`` or ``umbel-...``.
_SERVICES: Final = re.compile(r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP)(_.*)?)$")


def read_environment(environ: Mapping[str, str]) -> list[Given]:
    """Read ``UMBEL_<SETTING>`` and ``UMBEL_<SECTION>__<KEY>``; an empty variable counts as unset."""
    given = [
        Given(name, Text(environ[variable]), f"the environment variable {variable}")
        for variable, name in _CELERYS.items()
        if environ.get(variable)
    ]
    for variable, text in environ.items():
        name = variable.removeprefix("UMBEL_")
        if name == variable or not text or _PROGRAMS.match(name) or _SERVICES.match(name):
            continue
        if name.endswith("PORT") and text.startswith(("tcp://", "udp://")):
            continue
        section, _, key = name.lower().partition("__")
        given.append(Given(f"{section}.{key}" if key else section, Text(text), f"the environment variable {variable}"))
    return given
