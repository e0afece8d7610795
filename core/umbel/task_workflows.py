"""What a task has to do with workflows: calls for many items at once, and handing its own place on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.canvas.batched import chunks, xmap, xstarmap
from umbel.canvas.signature import Signature

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.context import Context
    from umbel.results.sets import Member

__all__ = ["TaskWorkflows"]


class TaskWorkflows:
    """The part of :class:`umbel.Task` about workflows."""

    if TYPE_CHECKING:
        app: Umbel
        name: str

        @property
        def request(self) -> Context: ...

    def map(self, items: Iterable[Any]) -> xmap:
        """Return a call that runs this task for each of *items*, one after the other, in one go."""
        return xmap(Signature(self.name, app=self.app), items, app=self.app)

    def starmap(self, items: Iterable[Sequence[Any]]) -> xstarmap:
        """Like :meth:`map`; each item is a list of arguments."""
        return xstarmap(Signature(self.name, app=self.app), items, app=self.app)

    def chunks(self, items: Iterable[Sequence[Any]], n: int) -> chunks:
        """Return a group of calls, each of which runs *n* of *items* (lists of arguments)."""
        return chunks(Signature(self.name, app=self.app), items, n, app=self.app)

    def replace(self, sig: Mapping[str, Any]) -> Any:
        """Have *sig*, a signature, take the place of the running call, and end this one; nothing after it is reached.

        It runs under the id of this call, so that whoever waits for this waits for that; callbacks, errbacks, the rest of
        the chain and the place in a chord are its own. It is sent with the commit that acknowledges this call: both
        happen, or this call runs again. Outside of a worker it is run at once and its value returned.
        """
        from umbel.canvas.replacing import replacement  # for start-up: only running tasks need it

        return self.on_replace(replacement(self.request, sig))

    def on_replace(self, sig: Signature) -> Any:
        """Called by :meth:`replace` with the finished signature: sends it, and raises ``Ignore`` to end this call."""
        from umbel.canvas.replacing import send_replacement  # as above

        return send_replacement(self, self.request, sig)  # type: ignore[arg-type]  # it is a part of Task

    def add_to_chord(self, sig: Mapping[str, Any], lazy: bool = False) -> Member | Signature:
        """Add *sig* to the header of the chord that the running call is a member of; return its result.

        It is sent when this call has succeeded, and its result stands behind those of the header in the body's list.
        With *lazy* it is returned as a signature instead, for the caller to send. ``ValueError`` outside of a chord.
        """
        from umbel.canvas.replacing import add_to_chord  # as above

        return add_to_chord(self, self.request, sig, lazy)  # type: ignore[arg-type]  # it is a part of Task
