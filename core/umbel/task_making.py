"""From a function or a class to a task of an application."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, overload

from umbel.suggestions import suggest
from umbel.task import AsyncTask, Task
from umbel.task_attributes import OPTION_NAMES
from umbel.task_naming import task_name

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["BoundTaskDecorator", "TaskDecorator", "annotate", "make_task"]

P = ParamSpec("P")
R = TypeVar("R")

#: Options that say how to make the task, and are no attributes of it.
_MAKING: Final = frozenset({"name", "base", "bind", "shared", "lazy", "filter", "backend"})


class TaskDecorator(Protocol):
    """What ``@app.task(...)`` decorates with."""

    @overload
    def __call__(self, fun: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fun: Callable[P, R], /) -> Task[P, R]: ...


class BoundTaskDecorator(Protocol):
    """What ``@app.task(bind=True, ...)`` decorates with: the function's first parameter is the task."""

    @overload
    def __call__(self, fun: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fun: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...


def make_task(app: Umbel, fun: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Return the task that *fun* becomes under *options*, registered with *app*.

    ``TypeError`` for what is not callable, and for an unknown option.
    """
    if not callable(fun):
        raise TypeError(f"@app.task: expected a function, got {fun!r}; options are keyword arguments")
    base = options.get("base") or app.Task
    _check_options(base, options, fun)
    bind = bool(options.get("bind"))
    attributes: dict[str, Any] = {name: value for name, value in options.items() if name not in _MAKING}
    run = fun
    if options.get("pydantic"):
        from umbel.pydantic_models import with_models  # costs start-up time, and few tasks need it

        run = with_models(fun, options, app)
    label = getattr(fun, "__name__", None) or type(fun).__name__
    attributes.update(
        run=run if bind and isinstance(run, FunctionType) else _bound_method(run) if bind else staticmethod(run),
        takes_self=bind,
        abstract=False,
        name=options.get("name") or task_name(label, getattr(fun, "__module__", None), app.main),
        backend_url=options.get("backend"),
        __wrapped__=staticmethod(fun),
        __doc__=fun.__doc__,
        __module__=getattr(fun, "__module__", __name__),
        __qualname__=getattr(fun, "__qualname__", label),
    )
    task = type(label, (base,), attributes)()
    task.__name__ = label
    app.register_task(task)
    wanted = options.get("filter")
    return wanted(task) if wanted is not None else task


def _bound_method(run: Callable[..., Any]) -> Any:
    """Return a callable object such that the task is its first argument."""

    def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return run(self, *args, **kwargs)

    return bound


def _check_options(base: type[Any], options: Mapping[str, Any], fun: Callable[..., Any]) -> None:
    for name in options:
        if name not in OPTION_NAMES and not hasattr(base, name):
            raise TypeError(
                f"task {getattr(fun, '__name__', fun)!r}: unknown option {name!r}{suggest(name, OPTION_NAMES)}; an option "
                f"of your own must be an attribute of the task's base class"
            )


def annotate(task: Task[..., Any], annotations: Any) -> None:
    """Set the attributes that ``task_annotations`` gives *task*: by its name, by ``"*"``, or by an object's ``annotate``."""
    if not annotations:
        return
    for source in annotations if isinstance(annotations, list | tuple) else (annotations,):
        for given in _given_by(source, task):
            for name, value in given.items():
                attribute = name.lstrip("@")
                if attribute not in OPTION_NAMES and not hasattr(type(task), attribute):
                    raise TypeError(
                        f"task_annotations: task {task.name!r} has no attribute {name!r}{suggest(name, OPTION_NAMES)}"
                    )
                setattr(task, attribute, MethodType(value, task) if isinstance(value, FunctionType) else value)


def _given_by(source: Any, task: Task[..., Any]) -> list[Mapping[str, Any]]:
    if isinstance(source, Mapping):
        return [source[name] for name in ("*", task.name) if source.get(name)]
    found = [ask(task) for ask in (getattr(source, "annotate_any", None), getattr(source, "annotate", None)) if ask]
    return [given for given in found if given]
