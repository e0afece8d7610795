"""Tasks of libraries, which belong to whatever application uses them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, Unpack, overload

from umbel.current import add_shared_task, current_app
from umbel.task_attributes import TaskOptions
from umbel.task_naming import task_name

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import AsyncTask, Task
    from umbel.task_making import BoundTaskDecorator, TaskDecorator

__all__ = ["SharedTask", "shared_task"]

P = ParamSpec("P")
R = TypeVar("R")


class SharedTask:
    """Stands for the task of this name in the current application; every attribute is that task's."""

    def __init__(self, fun: Callable[..., Any], options: dict[str, Any]) -> None:
        self._fun = fun
        self._options = options
        self._label = getattr(fun, "__name__", type(fun).__name__)
        self.__wrapped__ = fun
        self.__doc__ = fun.__doc__
        self.__name__ = self._label
        self.__module__ = getattr(fun, "__module__", __name__)

    def _register(self, app: Umbel) -> None:
        if self._name(app) not in app.tasks:
            app.task(**self._options)(self._fun)

    def _name(self, app: Umbel) -> str:
        return self._options.get("name") or task_name(self._label, self.__module__, app.main)

    def _task(self) -> Task[..., Any]:
        app = current_app()
        name = self._name(app)
        if name not in app.tasks:
            self._register(app)
        return app.tasks[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._task(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._task()(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<@shared_task: {self._options.get('name') or f'{self.__module__}.{self._label}'}>"


@overload
def shared_task(fun: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
@overload
def shared_task(fun: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(*, bind: Literal[True], **options: Unpack[TaskOptions]) -> BoundTaskDecorator: ...
@overload
def shared_task(*, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> TaskDecorator: ...


def shared_task(fun: Any = None, /, *, bind: bool = False, **options: Unpack[TaskOptions]) -> Any:
    """Make a function a task of every application, those that are made later included.

    What it gives acts for the current application's task; using it before there is an application is an error.
    """

    def decorate(function: Callable[..., Any]) -> SharedTask:
        shared = SharedTask(function, {**options, "bind": bind})
        add_shared_task(shared._register)
        return shared

    return decorate if fun is None else decorate(fun)
