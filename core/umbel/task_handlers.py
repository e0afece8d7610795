"""What a task does at the turning points of a call, for classes and options to override."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.context import Context

__all__ = ["TaskHandlers"]


class TaskHandlers:
    """The handlers of a task. What they return is ignored."""

    def before_start(self, task_id: str | None, args: Any, kwargs: Any) -> None:
        """Called where the task runs, before it does. What it raises is the task's own failure."""

    def on_success(self, retval: Any, task_id: str | None, args: Any, kwargs: Any) -> None:
        """Called where the task ran, when it has returned."""

    def on_retry(self, exc: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called where the task ran, when it will be tried again; *exc* is what was given to :meth:`retry`."""

    def on_failure(self, exc: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called where the task ran, when it has raised."""

    def after_return(self, status: str, retval: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after its result was stored, whatever the outcome; *einfo* is ``None`` where it has returned."""

    @property
    def after_return_overridden(self) -> bool:
        """Whether a class or an option gives it an :meth:`after_return` of its own."""
        return type(self).after_return is not TaskHandlers.after_return

    @property
    def has_shadow_name(self) -> bool:
        """Whether a class or an option gives it a :meth:`shadow_name` of its own."""
        return type(self).shadow_name is not TaskHandlers.shadow_name

    if TYPE_CHECKING:
        app: Umbel

        @property
        def request(self) -> Context: ...

    def send_event(self, type_: str, retry: bool = True, retry_policy: Any = None, **fields: Any) -> None:
        """Send an event of *type_*, with the id of the running call, to whoever listens [B789].

        It goes over a pooled connection of the process that runs the task. ``task-progress`` shows as the state
        ``PROGRESS`` in monitors. Raises :class:`~umbel.exceptions.OperationalError` when the broker is away; *retry* and
        *retry_policy* are taken for Celery's sake.
        """
        request = self.request
        with self.app.events.default_dispatcher(hostname=request.hostname) as dispatcher:
            dispatcher.send(type_, uuid=request.id, **fields)

    def on_bound(self, app: Umbel) -> None:
        """Called when it becomes a task of *app*."""

    def shadow_name(self, args: Any, kwargs: Any, options: Any) -> str | None:
        """Return the name to show instead of the task's own, or ``None``. Called for each call that is sent."""
        return None
