"""What goes through the socket between the pool and a child: length-prefixed marshal frames, each a batch.

Pool to child: a list of ``(job id, payload)``; an empty list only wakes. Child to pool: a :data:`Report`.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["CRASHED", "FAILED", "HELLO", "LEAVING", "OVERRUN", "FrameReader", "Report", "encode_frame"]

#: ``(results, given back, note)``: results are ``(job id, outcome, run time in ns)``, given back (``None``
#: but in the answer to a nudge) are ids of jobs that the child will not start, the note is ``None`` or ``(kind, job id, text)``.
Report = tuple[list[tuple[int, bytes, int]], list[int] | None, tuple[str, int, str] | None]

HELLO: Final = "hello"  # ready for jobs
LEAVING: Final = "leaving"  # starts nothing more and exits
FAILED: Final = "failed"  # could not get ready; text says why
CRASHED: Final = "crashed"  # the executor let an exception of this job through
OVERRUN: Final = "overrun"  # the soft limit struck outside of the task's code: no outcome

_HEADER = struct.Struct("=Q")
#: Above this a frame's header and body are sent as two pieces rather than copied into one.
_COPY_BYTES = 64 * 1024


def encode_frame(content: Any) -> Sequence[bytes]:
    """Return *content* as the pieces to be written one after the other."""
    body = marshal.dumps(content)
    header = _HEADER.pack(len(body))
    return (header + body,) if len(body) < _COPY_BYTES else (header, body)


class FrameReader:
    """Cuts a stream of bytes into frames. For one thread at a time."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: memoryview[int]) -> list[Any]:
        """Take what was read and return the frames that are whole; ``ValueError`` or ``EOFError`` for garbage."""
        if not self._rest:
            frames, used = _cut(chunk)
            self._rest += chunk[used:]
            return frames
        self._rest += chunk
        with memoryview(self._rest) as view:
            frames, used = _cut(view)
        if used:
            del self._rest[:used]
        return frames


def _cut(view: memoryview[int]) -> tuple[list[Any], int]:
    frames: list[Any] = []
    position, size = 0, len(view)
    while size - position >= _HEADER.size:
        body = position + _HEADER.size
        end = body + _HEADER.unpack_from(view, position)[0]
        if end > size:
            break
        with view[body:end] as piece:
            frames.append(marshal.loads(piece))  # noqa: S302 - from our own child
        position = end
    return frames, position
