"""The tasks that an application knows, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from umbel.exceptions import AlreadyRegistered, NotRegistered
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.task import Task

__all__ = ["BUILTIN_PREFIXES", "Registry"]

#: How the names of the built-in tasks begin.
BUILTIN_PREFIXES: Final = ("celery.", "umbel.")


class Registry(dict[str, "Task[..., Any]"]):
    """Name -> task. Reading an unknown name is :class:`~umbel.exceptions.NotRegistered`, with the nearest known one."""

    def __missing__(self, name: str) -> Task[..., Any]:
        raise NotRegistered(
            f"task {name!r}: not registered here{suggest(name, self)}; the module that defines it must be imported, "
            f"see include and imports"
        )

    def register(self, task: Task[..., Any]) -> Task[..., Any]:
        """Add *task* under its name and return it.

        The same function again (a module that was reloaded, a notebook cell run twice) replaces the task; another one
        of that name is :class:`~umbel.exceptions.AlreadyRegistered`.
        """
        known = self.get(task.name)
        if known is not None and known.origin != task.origin:
            raise AlreadyRegistered(
                f"task {task.name!r}: defined by {'.'.join(known.origin)} and by {'.'.join(task.origin)}; "
                f"give one of them another name=..."
            )
        self[task.name] = task
        return task

    def unregister(self, name: str | Task[..., Any]) -> None:
        """Forget a task; :class:`~umbel.exceptions.NotRegistered` when it is not known."""
        key = name if isinstance(name, str) else name.name
        if key not in self:
            self.__missing__(key)
        del self[key]

    def regular(self) -> dict[str, Task[..., Any]]:
        """Return the tasks that are not the framework's own."""
        return {name: task for name, task in self.items() if not name.startswith(BUILTIN_PREFIXES)}
