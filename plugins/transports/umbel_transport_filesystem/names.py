"""File names that say where a message stands, so that nothing needs to be opened to find the next one."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

import attrs

__all__ = ["WaitingName", "folder_name"]

_PLAIN: Final = re.compile(rb"[a-z0-9_@-]")
_PATTERN: Final = re.compile(r"([0-9])-([0-9]{20})-([0-9]{17})-([0-9]{4})-([0-9a-f]+)")
#: File systems allow 255 bytes.
_MOST: Final = 200


@lru_cache(maxsize=1024)
def folder_name(name: str) -> str:
    """Return *name* as the name of a folder: ``%XX`` for what is not plain, capitals too (some systems ignore case)."""
    data = name.encode("utf-8", "surrogatepass")
    quoted = "".join(chr(byte) if _PLAIN.match(bytes([byte])) else f"%{byte:02x}" for byte in data) or "%"
    if len(quoted) <= _MOST:
        return quoted
    return f"{quoted[: _MOST - 66]}%%{hashlib.sha256(data).hexdigest()}"


@attrs.frozen
class WaitingName:
    """The parts of a message's file name.

    *place* is when it was published (nanoseconds, unique with *token*), *due_us* when it may be delivered (Unix
    microseconds, 0: at once), *deliveries* how often it was handed out.
    """

    priority: int
    place: int
    due_us: int
    deliveries: int
    token: str

    def __str__(self) -> str:
        return f"{9 - self.priority}-{self.place:020d}-{self.due_us:017d}-{min(self.deliveries, 9999):04d}-{self.token}"

    @classmethod
    def parse(cls, text: str) -> WaitingName:
        """Read a file name; one that is not ours is a message of the lowest priority, whose content will be refused."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            return cls(0, 0, 0, 0, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16])
        rank, place, due_us, deliveries, token = match.groups()
        return cls(9 - int(rank), int(place), int(due_us), int(deliveries), token)
