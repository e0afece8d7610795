"""Results whose calls can be called off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Revocable"]


class Revocable:
    """The part of a result, or of several, that revokes."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def app(self) -> Umbel: ...

        id: str

    def revocable_ids(self) -> list[str]:
        """Return the ids of the calls, which :meth:`revoke` calls off."""
        return [self.id]

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Have no worker run it: whoever waits gets :class:`~umbel.exceptions.TaskRevokedError`.

        With *terminate* it is stopped where it runs, by the signal of this name (TERM). With *wait* the workers'
        answers are waited for, *timeout* seconds. A task that has ended stays as it is.
        """
        ids = self.revocable_ids()
        if ids:
            self.app.control.revoke(ids, **_options(connection, terminate, signal, wait, timeout))

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        connection: Any = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Have no worker run any call that is stamped with one of *headers*, whatever its id; else as :meth:`revoke`."""
        self.app.control.revoke_by_stamped_headers(headers, **_options(connection, terminate, signal, wait, timeout))


def _options(connection: Any, terminate: bool, signal: str | None, wait: bool, timeout: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"terminate": terminate, "signal": signal or "SIGTERM", "reply": wait}
    options.update(
        {name: value for name, value in (("connection", connection), ("timeout", timeout)) if value is not None}
    )
    return options
