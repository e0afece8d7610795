"""Whom the options of a remote command mean, and how they are asked: through the broker, or through sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from umbel.control import Replies
from umbel.control.local import ask_local_nodes

if TYPE_CHECKING:
    from umbel.cli.session import Session

__all__ = ["EXIT_UNAVAILABLE", "Question", "remote_options"]

#: ``EX_UNAVAILABLE`` of sysexits.h, as Celery's: nobody has answered.
EXIT_UNAVAILABLE: Final = 69


def _nodes(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def remote_options(command: Any) -> Any:
    """Add the options that all remote commands have."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Say less."),
        click.option("--local", is_flag=True, help="Ask the nodes of this machine through their sockets: no broker."),
        click.option("-j", "--json", "as_json", is_flag=True, help="Write JSON."),
        click.option("-d", "--destination", callback=_nodes, metavar="A,B", help="Only these nodes."),
        click.option("-t", "--timeout", type=click.FloatRange(0), metavar="S", help="Seconds to wait for replies."),
    ):
        command = option(command)
    return command


@attrs.frozen(kw_only=True)
class Question:
    """What the options say."""

    session: Session
    timeout_s: float
    destination: list[str] | None
    local: bool

    def ask(
        self, method: str, arguments: Mapping[str, Any], callback: Callable[[dict[str, Any]], Any] | None = None
    ) -> Replies:
        """Return the answers; raises ``UmbelError`` when the broker is not reached."""
        if self.local:
            return ask_local_nodes(method, arguments, self.destination, self.timeout_s, callback)
        control = self.session.app.control
        if method in _REVOKING:
            return (
                getattr(control, method)(
                    **_for_client(method, arguments),
                    destination=self.destination,
                    reply=True,
                    timeout=self.timeout_s,
                    callback=callback,
                )
                or Replies()
            )
        return (
            control.broadcast(
                method, arguments, destination=self.destination, reply=True, timeout=self.timeout_s, callback=callback
            )
            or Replies()
        )


#: Whose truth is written into the store by the caller.
_REVOKING: Final = {"revoke", "terminate", "revoke_by_stamped_headers"}


def _for_client(method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    if method != "revoke_by_stamped_headers":
        return dict(arguments)
    pairs = [str(pair).partition("=") for pair in arguments["headers"]]
    wrong = [key for key, equals, _ in pairs if not (key and equals)]
    if wrong:
        raise click.UsageError(f"revoke_by_stamped_headers: expected key=value, got {wrong[0]!r}")
    headers: dict[str, list[str]] = {}
    for key, _, value in pairs:
        headers.setdefault(key, []).append(value)
    return {"headers": headers}
