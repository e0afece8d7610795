"""The settings that a project gives, wherever it gives them: a configuration module, Django's, the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from umbel_extension_celery.migrating.imports import imported_names
from umbel_extension_celery.migrating.reading import Project, Source

__all__ = ["GivenSetting", "find_given_settings"]

#: Arguments of ``Celery(...)`` -> the setting; what is neither here nor a setting's name is no setting.
_ARGUMENTS: Final = {"broker": "broker_url", "backend": "result_backend", "include": "include", "namespace": ""}
_CONFIGURATION_MODULES: Final = frozenset({"celeryconfig", "celery_config"})
_NAMES_OF_APPLICATIONS: Final = frozenset({"app", "celery", "celery_app", "current_app"})


@attrs.frozen
class GivenSetting:
    """One setting as it is written. *is_certain* says that it is one: a name of Celery's, or in a place of Celery's."""

    name: str
    value: ast.expr
    file: str
    line: int
    namespace: str = ""
    is_certain: bool = True


@attrs.frozen
class _Configured:
    """A call of ``config_from_object``: what it names, and the prefix."""

    target: str
    namespace: str


def find_given_settings(project: Project) -> Iterator[GivenSetting]:
    """Yield every setting that is given in the Python files of *project*."""
    configured = [row for source in project.python for row in _configurations(source)]
    namespaces = {row.namespace for row in configured if row.namespace} or {"CELERY"}
    taken: set[str] = set()
    for row in configured:
        for source, body in _bodies(project, row.target):
            taken.add(source.name)
            yield from _assigned(source, body, row.namespace)
    for source in project.python:
        if source.name in taken or source.tree is None:
            pass
        elif source.module_path.rpartition(".")[2] in _CONFIGURATION_MODULES:
            yield from _assigned(source, source.tree.body, "")
        elif "settings" in source.module_path.split("."):
            for namespace in sorted(namespaces):
                yield from _assigned(source, source.tree.body, namespace, is_certain=False)
        yield from _in_code(source)


def _configurations(source: Source) -> Iterator[_Configured]:
    for node in ast.walk(source.tree) if source.tree else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr != "config_from_object":
                continue
            rest = {keyword.arg: keyword.value for keyword in node.keywords}
            prefix = rest.get("namespace", node.args[2] if len(node.args) > 2 else None)
            namespace = prefix.value if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str) else ""
            yield _Configured(_target(node.args[0]), namespace.upper())


def _target(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return ast.unparse(argument)


def _bodies(project: Project, target: str) -> Iterator[tuple[Source, Sequence[ast.stmt]]]:
    """Yield where the settings of *target* stand: the body of a module, or that of a class."""
    if target == "django.conf:settings":
        return  # what is called settings is read anyhow
    for source in project.modules(target):
        if source.tree is not None:
            yield source, source.tree.body
    name = target.replace(":", ".").rpartition(".")[2]
    for source in project.python:
        for node in source.tree.body if source.tree else ():
            if isinstance(node, ast.ClassDef) and node.name == name:
                yield source, node.body


def _assigned(
    source: Source, body: Sequence[ast.stmt], namespace: str, *, is_certain: bool = True
) -> Iterator[GivenSetting]:
    """Yield what the statements assign to names, also under ``if``, ``try`` and ``with``."""
    for node in body:
        for name, value in _targets(node):
            if isinstance(name, ast.Name) and not name.id.startswith("_"):
                yield GivenSetting(name.id, value, source.name, node.lineno, namespace, is_certain)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            blocks = [getattr(node, block, ()) for block in ("body", "orelse", "finalbody")]
            blocks += [handler.body for handler in getattr(node, "handlers", ())]
            for block in blocks:
                yield from _assigned(source, block, namespace, is_certain=is_certain)


def _targets(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value


def _in_code(source: Source) -> Iterator[GivenSetting]:
    """Yield what is given to ``app.conf`` and to ``Celery(...)``."""
    meanings = imported_names(source)
    for node in ast.walk(source.tree) if source.tree else ():
        if isinstance(node, ast.stmt):
            for target, value in _targets(node):
                yield from _assigned_to_conf(source, target, value, certain=bool(meanings))
        elif isinstance(node, ast.Call):
            if _meaning(node.func, meanings) in ("celery.Celery", "celery.app.Celery", "celery.app.base.Celery"):
                yield from _arguments(source, node)
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "update":
                yield from _updated(source, node, certain=bool(meanings))


def _meaning(function: ast.expr, meanings: dict[str, str]) -> str:
    name, dot, rest = ast.unparse(function).partition(".")
    return meanings.get(name, "") + dot + rest


def _is_conf(node: ast.expr, *, certain: bool) -> bool:
    """Say whether *node* is the configuration of an application; where Celery is not imported, by its usual names."""
    if not isinstance(node, ast.Attribute) or node.attr != "conf":
        return False
    owner = node.value
    return certain or (isinstance(owner, ast.Name) and owner.id in _NAMES_OF_APPLICATIONS)


def _assigned_to_conf(source: Source, target: ast.expr, value: ast.expr, *, certain: bool) -> Iterator[GivenSetting]:
    name: object = None
    if isinstance(target, ast.Attribute) and _is_conf(target.value, certain=certain):
        name = target.attr
    elif isinstance(target, ast.Subscript) and _is_conf(target.value, certain=certain):
        name = target.slice.value if isinstance(target.slice, ast.Constant) else None
    if isinstance(name, str):
        yield GivenSetting(name, value, source.name, target.lineno, is_certain=certain)


def _updated(source: Source, call: ast.Call, *, certain: bool) -> Iterator[GivenSetting]:
    if not isinstance(call.func, ast.Attribute) or not _is_conf(call.func.value, certain=certain):
        return
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield GivenSetting(keyword.arg, keyword.value, source.name, keyword.value.lineno, is_certain=certain)
    for argument in call.args:
        if isinstance(argument, ast.Dict):
            for key, value in zip(argument.keys, argument.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield GivenSetting(key.value, value, source.name, key.lineno, is_certain=certain)


def _arguments(source: Source, call: ast.Call) -> Iterator[GivenSetting]:
    for keyword in call.keywords:
        name = _ARGUMENTS.get(keyword.arg or "", "")
        if name:
            yield GivenSetting(name, keyword.value, source.name, keyword.value.lineno)
