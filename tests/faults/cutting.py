"""Cuts connections in the middle of named commands, at each of three places of each of them once.

What passes a proxy is named after what the client sends: ``EVALSHA 1a2b3c``, ``Basic.Publish``, ``Bind INSERT INTO``.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable
from typing import Final

from umbel.testing.proxy import Passage

__all__ = ["NAMERS", "PLACES", "Cutter"]

#: Half of the request goes through; all of it, and no answer comes; half of the answer comes.
PLACES: Final = ("request torn", "answer lost", "answer torn")


def name_redis(data: bytes) -> str:
    """The commands in *data*, scripts by the head of their digest."""
    found = []
    for name, argument in re.findall(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n(?:\$\d+\r\n([^\r]{0,40})\r\n)?", data):
        is_script = name.upper() == b"EVALSHA"
        found.append((name + b" " + argument[:6] if is_script else name).decode("ascii", "replace"))
    return "+".join(dict.fromkeys(found)) or "(more of it)"


_METHODS: Final = {
    (10, 11): "Connection.StartOk",
    (10, 31): "Connection.TuneOk",
    (10, 40): "Connection.Open",
    (20, 10): "Channel.Open",
    (40, 10): "Exchange.Declare",
    (50, 10): "Queue.Declare",
    (50, 20): "Queue.Bind",
    (60, 10): "Basic.Qos",
    (60, 20): "Basic.Consume",
    (60, 30): "Basic.Cancel",
    (60, 40): "Basic.Publish",
    (60, 80): "Basic.Ack",
    (60, 90): "Basic.Reject",
    (85, 10): "Confirm.Select",
}


def name_amqp(data: bytes) -> str:
    """The methods in *data*."""
    if data.startswith(b"AMQP"):
        return "protocol header"
    found, at = [], 0
    while at + 7 <= len(data):
        kind, _, size = struct.unpack_from(">BHI", data, at)
        if kind == 1 and at + 11 <= len(data):
            method = struct.unpack_from(">HH", data, at + 7)
            found.append(_METHODS.get(method, f"method {method[0]}.{method[1]}"))
        elif kind == 8:
            found.append("heartbeat")
        at += 8 + size
    return "+".join(dict.fromkeys(found)) or "(more of it)"


_STATEMENT: Final = re.compile(
    rb"(INSERT INTO|UPDATE|DELETE FROM|SELECT|WITH|BEGIN|COMMIT|ROLLBACK|LISTEN|SET|CREATE)\s+([\w.\"]{0,40})"
)


def name_postgres(data: bytes) -> str:
    """The kinds of messages in *data*, and the statement or the prepared statement they are about."""
    kinds, at = "", 0
    while at + 5 <= len(data) and 65 <= data[at] < 123:
        kinds += chr(data[at])
        at += 1 + struct.unpack_from(">I", data, at + 1)[0]
    statement = _STATEMENT.search(data)
    prepared = re.search(rb"_pg3_(\d+)", data)
    about = ""
    if statement is not None:
        about = b" ".join(statement.groups()).decode("ascii", "replace")
    elif prepared is not None:
        about = f"prepared {int(prepared[1])}"
    return f"{kinds or 'start'} {about}".strip()


NAMERS: Final[dict[str, Callable[[bytes], str]]] = {
    "redis": name_redis,
    "rabbitmq": name_amqp,
    "postgres": name_postgres,
}


class Cutter:
    """Cuts once each time it is armed, preferring what it has not cut yet. Called by a proxy's threads."""

    def __init__(self, name: Callable[[bytes], str]) -> None:
        self.done: dict[tuple[str, str], int] = {}
        self.struck = threading.Event()
        self.struck.set()
        self.last = ""
        self._name = name
        self._lock = threading.Lock()
        self._place = ""
        self._patience = 0
        self._awaited: dict[int, str] = {}  # link -> the command whose answer is cut

    def arm(self, place: str, patience: int) -> None:
        """Cut at *place* of the next command that was not cut there yet; of any, when *patience* others have passed."""
        with self._lock:
            self._place, self._patience = place, patience
            self._awaited.clear()
            self.struck.clear()

    def __call__(self, passage: Passage) -> int | None:
        if self.struck.is_set():
            return None
        with self._lock:
            if self.struck.is_set():
                return None
            if passage.is_request:
                return self._request(passage)
            command = self._awaited.get(passage.link)
            if command is None:
                return None
            return self._cut(command, 0 if self._place == "answer lost" else len(passage.data) // 2)

    def _request(self, passage: Passage) -> int | None:
        command = self._name(passage.data)
        if (command, self._place) in self.done:
            self._patience -= 1
            if self._patience > 0:
                self._awaited.pop(passage.link, None)
                return None
        if self._place == "request torn":
            return self._cut(command, len(passage.data) // 2)
        self._awaited[passage.link] = command
        return None

    def _cut(self, command: str, at: int) -> int:
        key = (command, self._place)
        self.done[key] = self.done.get(key, 0) + 1
        self.last = f"{self._place}: {command}"
        self.struck.set()
        return at
