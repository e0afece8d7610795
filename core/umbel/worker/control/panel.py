"""The commands that workers obey, by name: Umbel's own and those of users and plugins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import attrs

from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.protocol.control import ControlRequest
    from umbel.worker.worker import Worker

__all__ = ["Command", "ControlState", "Panel", "control_command", "inspect_command", "panel"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@attrs.define(eq=False)
class ControlState:
    """What a command gets as its first argument: the worker that obeys.

    ``app`` and ``hostname`` (the node's name) are as in Celery; ``consumer`` is the worker itself, which has ``pool``,
    ``intake`` and so on; ``logger`` writes into the worker's log [A282]. *request* is the message that asked, ``None``
    when it came through the node's socket.
    """

    worker: Worker
    request: ControlRequest | None = None
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("umbel.worker.control"))

    @property
    def app(self) -> Umbel:
        """The worker's application."""
        return self.worker.app

    @property
    def hostname(self) -> str:
        """The node's name."""
        return self.worker.node

    @property
    def consumer(self) -> Worker:
        """The worker."""
        return self.worker


@attrs.frozen(kw_only=True)
class Command:
    """A command, and what the command line needs to know of it.

    *kind* is ``inspect`` for a question and ``control`` for an order. *args* are (name, type) of the positional
    arguments of ``umbel inspect`` and ``umbel control``; what is left over goes to *variadic* as a list. *signature*
    shows them in the help. *default_timeout* in seconds. Those that are not *visible* are left out of lists.
    """

    name: str
    handler: Callable[..., Any]
    kind: Literal["inspect", "control"]
    alias: str | None = None
    visible: bool = True
    default_timeout: float = 1.0
    help: str = ""
    signature: str = ""
    args: Sequence[tuple[str, Callable[[str], Any]]] = ()
    variadic: str | None = None


class Panel:
    """A table of commands."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._aliases: dict[str, str] = {}

    def register(self, command: Command) -> None:
        """Add *command*; one of the same name is replaced."""
        self._commands[command.name] = command
        if command.alias:
            self._aliases[command.alias] = command.name

    def find(self, name: str) -> Command | None:
        """Return the command of this name or alias."""
        return self._commands.get(self._aliases.get(name, name))

    def of_kind(self, kind: str) -> dict[str, Command]:
        """Return the visible commands of *kind*, by name, sorted."""
        found = {name: command for name, command in self._commands.items() if command.kind == kind and command.visible}
        return dict(sorted(found.items()))

    def dispatch(self, state: ControlState, name: str, arguments: Mapping[str, Any]) -> Any:
        """Obey: return the command's answer. What it raises, ``SystemExit`` excepted, is an answer too [B987]."""
        command = self.find(name)
        if command is None:
            state.logger.warning("unknown control command %r%s", name, suggest(name, self._commands))
            return {"error": f"KeyError({name!r}): no such command{suggest(name, self._commands)}"}
        try:
            return command.handler(state, **arguments)
        except Exception as error:
            state.logger.warning(
                "control command %s failed: %r", name, error, exc_info=not isinstance(error, TypeError)
            )
            return {"error": _explained(command, error)}


def _explained(command: Command, error: Exception) -> str:
    text = repr(error)
    if isinstance(error, TypeError) and "argument" in str(error):
        text += f"; usage: {command.name} {command.signature}".rstrip()
    return text


#: The commands of this process. Commands belong to no application, as in Celery: modules register them when imported.
panel: Final = Panel()


def _register(kind: Literal["inspect", "control"], options: Mapping[str, Any]) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        chosen = dict(options)
        name = chosen.pop("name", None) or handler.__name__
        help_ = chosen.pop("help", None) or (handler.__doc__ or "").strip().partition("\n")[0]
        args: Iterable[tuple[str, Any]] = chosen.pop("args", None) or ()
        panel.register(
            Command(
                name=name,
                handler=handler,
                kind=kind,
                help=help_,
                args=tuple((arg, str if kind_ is None else kind_) for arg, kind_ in args),
                **{key: value for key, value in chosen.items() if value is not None},
            )
        )
        return handler

    return register


def control_command(**options: Any) -> Callable[[_Handler], _Handler]:
    """Make a function a command of ``umbel control``: it gets a :class:`ControlState` and the arguments by name.

    Options: ``name``, ``alias``, ``args=[("n", int)]``, ``variadic``, ``signature``, ``help``, ``visible``,
    ``default_timeout``. What the function returns is the reply; what it raises is told as ``{"error": ...}``. It runs on
    the thread of remote control, so it should be quick.
    """
    return _register("control", options)


def inspect_command(**options: Any) -> Callable[[_Handler], _Handler]:
    """Make a function a command of ``umbel inspect``; options as for :func:`control_command`."""
    return _register("inspect", options)
