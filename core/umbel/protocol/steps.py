"""The steps of a long chain that a message carries and nobody has read yet: they are handed on as they came.

A chain of a thousand steps carries those to come in each of its messages. To read and write them all for each step would
make the chain the slower the longer it is; a worker needs the next one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from umbel.model import TaskCall
from umbel.spi import Serializer

__all__ = ["EMBED", "UnreadSteps", "embed_of", "split_body"]

#: What a body holds beside the arguments of its call, when that is nothing.
EMBED: Final[dict[str, Any]] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
#: A chain of so many steps to come is worth being left unread.
_LONG_CHAIN: Final = 8


class UnreadSteps:
    """Steps of a chain, last first, as *serializer* has written them into a message. Iterating reads them all."""

    __slots__ = ("serializer", "written")

    def __init__(self, serializer: Serializer, written: bytes) -> None:
        self.serializer = serializer
        self.written = written

    def __iter__(self) -> Iterator[Any]:
        return iter(self.serializer.loads_items(self.written))

    def following(self) -> tuple[dict[str, Any], UnreadSteps | list[Any]] | None:
        """Return the next step and those after it; ``None`` where all of them have to be read to know it."""
        found = self.serializer.pop_item(self.written, "task")
        if found is None:
            return None
        step, rest = found
        return step, UnreadSteps(self.serializer, rest) if rest else []


def embed_of(call: TaskCall) -> dict[str, Any]:
    """Return what a body of *call* holds beside its arguments, in Celery's order but for a long chain."""
    embed = {"callbacks": call.callbacks, "errbacks": call.errbacks, "chain": call.chain, "chord": call.chord}
    if isinstance(call.chain, list) and len(call.chain) >= _LONG_CHAIN:
        embed["chain"] = embed.pop("chain")  # at the end, where it may be left unread
    return embed


def split_body(serializer: Serializer, data: bytes) -> Any:
    """Return the body of a task message that *data* hold, its chain being :class:`UnreadSteps`; else ``None``.

    It is ``None`` for all but bodies that end with a long chain, as those of workers do.
    """
    found = serializer.loads_beside(data, "chain")
    if found is None:
        return None
    body, written = found
    if type(body) is not list or len(body) != 3 or type(body[2]) is not dict or body[2].keys() != EMBED.keys():
        return None
    body[2]["chain"] = UnreadSteps(serializer, written)
    return body
