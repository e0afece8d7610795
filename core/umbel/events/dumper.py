"""Events as lines for people, or as JSON for programs."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from umbel.events.lru import LimitedDict
from umbel.exceptions import OperationalError
from umbel.urls import mask_url

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.events.receiver import EventReceiver

__all__ = ["Dumper", "evdump", "humanize_type"]

_HUMAN: Final = {"worker-offline": "shutdown", "worker-online": "started", "worker-heartbeat": "heartbeat"}
_MOST_NAMES: Final = 4095
_LONGEST_RETRY_S: Final = 30.0


def humanize_type(kind: str) -> str:
    """Return a type of event as people say it [B900]."""
    kind = kind.lower()
    return _HUMAN.get(kind) or kind.replace("-", " ")


class Dumper:
    """Gives each event to *say* as one line; *as_json* as it came, else in Celery's form [B269]."""

    def __init__(self, say: Callable[[str], None], *, as_json: bool = False) -> None:
        self._say = say
        self._as_json = as_json
        #: What is shown of a task whose event holds no more than its id.
        self._names: LimitedDict[str, str] = LimitedDict(_MOST_NAMES)

    def say(self, text: str) -> None:
        """Say something that is no event; nothing where programs read."""
        if not self._as_json:
            self._say(text)

    def on_event(self, event: dict[str, Any]) -> None:
        """Show *event*."""
        if self._as_json:
            self._say(json.dumps(event, default=str, separators=(",", ":")))
        else:
            self._say(self.line(event))

    def line(self, event: dict[str, Any]) -> str:
        """Return the line of *event*: who, when, what, and its fields in the order of their names."""
        fields = dict(event)
        timestamp = dt.datetime.fromtimestamp(fields.pop("timestamp", None) or 0.0, dt.UTC)
        kind = fields.pop("type").lower()
        head = f"{fields.pop('hostname', '?')} [{timestamp}] {humanize_type(kind)}"
        task = ""
        if kind.startswith("task-"):
            task = f" {self._task(kind, fields)}"
        shown = ", ".join(f"{name}={fields[name]}" for name in sorted(fields))
        return f"{head}{':' if shown or task.strip() else ''}{task} {shown}".rstrip()

    def _task(self, kind: str, fields: dict[str, Any]) -> str:
        uuid = str(fields.pop("uuid", "?"))
        if kind in ("task-received", "task-sent"):
            name, args, kwargs = (fields.pop(field, None) for field in ("name", "args", "kwargs"))
            self._names[uuid] = f"{name}({uuid}) args={args} kwargs={kwargs}"
        return self._names.get(uuid, uuid)


def evdump(
    app: Umbel,
    say: Callable[[str], None],
    *,
    as_json: bool = False,
    limit: int | None = None,
    listening: Callable[[EventReceiver], None] | None = None,
) -> None:
    """Give each event to *say*, until *limit* of them came or it is interrupted; a lost connection is made anew.

    *listening* is called with each receiver before it listens: whoever keeps it may end this by its ``stop()``.
    """
    dumper = Dumper(say, as_json=as_json)
    dumper.say("-> evdump: starting capture...")
    left, pause_s = limit, 1.0
    while True:
        receiver = app.events.Receiver(handlers={"*": dumper.on_event})
        try:
            if listening is not None:
                listening(receiver)
            with receiver:
                for _ in receiver.itercapture(left):
                    left, pause_s = (None if left is None else left - 1), 1.0
            return
        except OperationalError as error:
            dumper.say(f"-> Cannot listen at {mask_url(app.broker_url)}: {error}. Trying again in {pause_s:g} seconds")
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_RETRY_S)
