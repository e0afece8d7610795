"""Exceptions as documents, and back: as themselves, or as a faithful stand-in.

A document is ``{"exc_type": qualified name, "exc_message": args, "exc_module": module}`` (``WIRE.md`` 5.1). The
framework's own errors travel under the names that Celery's clients know, and are read under those and under ours.

Reading trusts nothing. It imports no module: a class is looked up in what this program has imported already. It calls
nothing but a class derived from :class:`Exception`. Exceptions beside that root (``SystemExit``, ``KeyboardInterrupt``)
come back as stand-ins: raised as themselves by ``get()`` they would end the caller's program.
"""

from __future__ import annotations

import functools
import sys
import traceback as tracebacks
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

import umbel.exceptions as errors
from umbel.exceptions import RemoteError, SecurityError
from umbel.protocol.reprs import saferepr

__all__ = ["exception_from_wire", "exception_to_wire", "traceback_text"]

_OURS: Final = errors.__name__
_BILLIARD: Final = frozenset({"SoftTimeLimitExceeded", "Terminated", "TimeLimitExceeded", "WorkerLostError"})
_KOMBU: Final = frozenset({"ContentDisallowed", "DecodeError", "EncodeError", "OperationalError"})
_FOREIGN_NAMES: Final = {"UmbelError": "CeleryError"}
#: The modules whose names stand for ours when they are read.
_FRAMEWORK: Final = frozenset({_OURS, "celery.exceptions", "billiard.exceptions", "kombu.exceptions"})
_CLASSES: Final[dict[str, type[Exception]]] = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
} | {"CeleryError": errors.UmbelError, "RetryTaskError": errors.Retry}

# The namespaces themselves: a lazy module's ``__getattr__``, or a ``__dict__`` of its own making, would import things.
_module_namespace: Final[Callable[[Any], Mapping[str, Any]]] = vars(types.ModuleType)["__dict__"].__get__
_class_namespace: Final[Callable[[Any], Mapping[str, Any]]] = vars(type)["__dict__"].__get__

_NO_ARGS: Final[tuple[Any, ...]] = ()


# -- writing ----------------------------------------------------------------------------------------------------------


def exception_to_wire(exc: BaseException, encodable: Callable[[Any], bool] | None = None) -> dict[str, Any]:
    """Return the document of *exc*.

    Arguments for which *encodable* answers false become text (without it, all are kept). Never raises, whatever the
    class of the exception does.
    """
    kind = type(exc)
    module, name = _wire_name(kind)
    args = _args_of(exc)
    if encodable is not None:
        args = [arg if encodable(arg) else saferepr(arg) for arg in args]
    return {"exc_type": name, "exc_message": args, "exc_module": module}


def _wire_name(kind: type[BaseException]) -> tuple[str, str]:
    module = kind.__module__
    name = kind.__qualname__
    if module != _OURS:
        return module, name
    if name in _BILLIARD:
        return "billiard.exceptions", name
    if name in _KOMBU:
        return "kombu.exceptions", name
    return "celery.exceptions", _FOREIGN_NAMES.get(name, name)


def _args_of(exc: BaseException) -> list[Any]:
    try:
        return list(exc.args)
    except Exception:  # a class may make ``args`` a property of its own
        return list(_slot_args(exc))


def _slot_args(exc: BaseException) -> tuple[Any, ...]:
    args: tuple[Any, ...] = BaseException.__dict__["args"].__get__(exc)
    return args


def traceback_text(exc: BaseException) -> str:
    """Return the traceback of *exc* as Python prints it; never raises, whatever its ``__str__`` does."""
    try:
        text = "".join(tracebacks.format_exception(exc))
    except Exception:
        try:
            frames = "".join(tracebacks.format_tb(exc.__traceback__))
        except Exception:
            frames = ""
        name = type(exc).__qualname__
        text = f"Traceback (most recent call last):\n{frames}{name}: {saferepr(_slot_args(exc))}\n"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


# -- reading ----------------------------------------------------------------------------------------------------------


def exception_from_wire(doc: Any) -> BaseException:
    """Return the exception that *doc* stands for. Never raises: what cannot be rebuilt has a stand-in.

    A class that this program has imported comes back as itself, any other as a subclass of
    :class:`~umbel.exceptions.RemoteError` with the remote class's name, module and arguments. A document that names
    something which is no exception class is an attack, and comes back as a
    :class:`~umbel.exceptions.SecurityError`.
    """
    if isinstance(doc, BaseException):
        return _from_pickled(doc)
    if not isinstance(doc, Mapping) or not isinstance(doc.get("exc_type"), str) or not doc["exc_type"]:
        return RemoteError(f"an exception of unknown type: {saferepr(doc)}")
    module, name = doc.get("exc_module"), doc["exc_type"]
    if not isinstance(module, str) or not module:
        module = "celery.exceptions"
    message = doc.get("exc_message", _NO_ARGS)
    args = tuple(message) if isinstance(message, list | tuple) else (message,)
    found = _find(module, name)
    if found is None:
        return _stand_in(module, name, args)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        return SecurityError(
            f"expected an exception class, got {module}.{name} with {saferepr(args, 200)}: refusing to call it"
        )
    if not issubclass(found, Exception):
        return _stand_in(module, name, args)
    exc = _rebuild(found, args)
    return _stand_in(module, name, args) if exc is None else exc


def _from_pickled(exc: BaseException) -> BaseException:
    # Celery wraps an exception that it cannot pickle in one that says so (``UnpickleableExceptionWrapper``, B915).
    name = getattr(exc, "exc_cls_name", None)
    if type(exc).__name__ == "UnpickleableExceptionWrapper" and isinstance(name, str):
        module, args = getattr(exc, "exc_module", None), getattr(exc, "exc_args", _NO_ARGS)
        return exception_from_wire({"exc_type": name, "exc_message": args, "exc_module": module})
    if isinstance(exc, Exception):
        return exc
    return _stand_in(*_wire_name(type(exc)), _slot_args(exc))


def _find(module: str, name: str) -> Any:
    """Return what *name* is in *module*, if it has been imported; no code of a module or class runs for it."""
    if module in _FRAMEWORK and name in _CLASSES:
        return _CLASSES[name]
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        if isinstance(found, types.ModuleType):
            namespace = _module_namespace(found)
        elif isinstance(found, type):
            namespace = _class_namespace(found)
        else:
            return None
        if part not in namespace:
            return None
        found = namespace[part]
    return found


def _rebuild(kind: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    """Make a *kind* with *args*: through its ``__init__`` if that takes them and keeps them, else around it."""
    exc = _made_by(lambda: kind(*args), kind, args)
    return _made_by(lambda: _around_init(kind, args), kind, args) if exc is None else exc


def _made_by(make: Callable[[], Exception], kind: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    try:
        exc = make()
        return exc if isinstance(exc, kind) and exc.args == args else None
    except Exception:  # its ``__init__`` wants something else than what it gave to its parent
        return None


def _around_init(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    exc = kind.__new__(kind, *args)
    exc.args = args
    return exc


def _stand_in(module: str, name: str, args: tuple[Any, ...]) -> RemoteError:
    try:
        return _stand_in_class(module, name)(*args)
    except ValueError:  # no class can have this name: NULs, lone surrogates
        return RemoteError(saferepr(f"{module}.{name}"), *args)


@functools.lru_cache(maxsize=512)
def _stand_in_class(module: str, name: str) -> type[RemoteError]:
    """Make the class that stands for *module*.*name*; the same one each time, so that ``except`` and tests can compare."""
    return type(
        name.rpartition(".")[2],
        (RemoteError,),
        {"__module__": module, "__qualname__": name, "__doc__": "Stands in.", "__reduce__": _reduce_stand_in},
    )


def _reduce_stand_in(self: RemoteError) -> tuple[Any, ...]:
    kind = type(self)
    return _stand_in, (kind.__module__, kind.__qualname__, _slot_args(self))
