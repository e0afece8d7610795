"""A task as its events show it, in whatever order they come and however often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from umbel.states import (
    FAILURE,
    PENDING,
    READY_STATES,
    RECEIVED,
    REJECTED,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    precedence,
)

if TYPE_CHECKING:
    from umbel.events.state import State
    from umbel.events.workers import Worker

__all__ = ["TASK_EVENT_TO_STATE", "Task"]

#: What state each event (without its ``task-``) puts a task into; any other one's is its name in upper case.
TASK_EVENT_TO_STATE: Final[Mapping[str, str]] = {
    "sent": PENDING,
    "received": RECEIVED,
    "started": STARTED,
    "failed": FAILURE,
    "retried": RETRY,
    "succeeded": SUCCESS,
    "revoked": REVOKED,
    "rejected": REJECTED,
}

#: More kinds of events of one task than this are somebody's mistake, or malice.
_MOST_KINDS: Final = 40
#: What an event must not overwrite: the attributes and methods by which this class works.
_OWN: Final = frozenset(
    {"uuid", "state", "timestamp", "worker", "client", "children", "cluster_state", "type", "spoken_of_by"}
)


class Task:
    """One call. Its attributes are the fields of its events; two are equal when their ``uuid`` is.

    The outcome depends on *which* events came, not on their order: the state is the one that logically comes last
    (``umbel.states.precedence``, B638) among the events since the last retry, and where two events speak of the
    same field the later one counts, except for those of :attr:`merge_rules`.
    """

    name: str | None = None
    state: str = PENDING
    clock: int = 0
    received: float | None = None
    sent: float | None = None
    started: float | None = None
    succeeded: float | None = None
    failed: float | None = None
    retried: float | None = None
    revoked: float | None = None
    rejected: float | None = None
    args: str | None = None
    kwargs: str | None = None
    eta: str | None = None
    expires: str | None = None
    retries: int | None = None
    worker: Worker | None = None
    result: str | None = None
    exception: str | None = None
    timestamp: float | None = None
    runtime: float | None = None
    traceback: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    client: str | None = None
    #: The node that spoke of it last.
    spoken_of_by: str | None = None

    _fields: ClassVar[Sequence[str]] = (
        *("uuid", "name", "state", "received", "sent", "started", "rejected", "succeeded", "failed", "retried"),
        *("revoked", "args", "kwargs", "eta", "expires", "retries", "worker", "result", "exception", "timestamp"),
        *("runtime", "traceback", "exchange", "routing_key", "clock", "client", "root", "root_id", "parent"),
        *("parent_id", "children"),
    )
    _info_fields: ClassVar[Sequence[str]] = (
        *("args", "kwargs", "retries", "result", "eta", "runtime", "expires", "exception", "exchange"),
        *("routing_key", "root_id", "parent_id"),
    )
    #: Fields that always come from the event of a state, whatever others say, before or after it [B663].
    merge_rules: ClassVar[Mapping[str, Sequence[str]]] = {
        RECEIVED: ("name", "args", "kwargs", "parent_id", "root_id", "retries", "eta", "expires"),
    }

    def __init__(
        self, uuid: str | None = None, cluster_state: State | None = None, children: Iterable[str] = (), **fields: Any
    ) -> None:
        self.uuid = uuid
        self.cluster_state = cluster_state
        self._children: dict[str, None] = dict.fromkeys(children)
        self._seen: dict[str, tuple[tuple[float, int, str], dict[str, Any]]] = {}
        self.__dict__.update(fields)

    # -- events -------------------------------------------------------------------------------------------------------

    def event(
        self,
        type_: str,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in the event ``task-<type_>``; *fields* are the whole of it."""
        event = dict(fields or {})
        at = timestamp or 0.0
        key = (at, event.get("clock") or 0, str(event.get("hostname")))
        known = self._seen.get(type_)
        if (known is not None and known[0] >= key) or (known is None and len(self._seen) >= _MOST_KINDS):
            return  # heard before, or older than what was heard
        self._seen[type_] = (key, event)
        self._settle()

    def _settle(self) -> None:
        """Work out the attributes from the latest event of each type."""
        retried = self._seen.get("retried")
        since = retried[0] if retried is not None else (float("-inf"), 0, "")
        order: list[tuple[Any, ...]] = []
        for type_, (key, event) in self._seen.items():
            state = TASK_EVENT_TO_STATE.get(type_) or type_.upper()
            # What came before the last retry is history, whatever its state; the retry itself opens the new attempt.
            rank = 1 if type_ == "retried" else 0 if key < since else 2
            order.append((rank, -precedence(state), key, type_, state, event))
        order.sort(key=lambda entry: entry[:4])
        for _, _, key, type_, state, event in order:
            if type_ in TASK_EVENT_TO_STATE:
                self.__dict__[type_] = key[0]
            self.__dict__.update({name: value for name, value in event.items() if _may_hold(name)})
            self.state, self.timestamp = state, key[0]
        speakers = [(key, event.get("hostname")) for type_, (key, event) in self._seen.items() if type_ != "sent"]
        self.spoken_of_by = max(speakers, key=lambda speaker: speaker[0])[1] if speakers else None
        if "sent" in self._seen:
            self.client = self._seen["sent"][1].get("hostname")
        for state, names in self.merge_rules.items():
            for entry in order:
                if entry[4] == state:
                    self.__dict__.update({name: entry[5][name] for name in names if name in entry[5]})

    def update(self, state: str, timestamp: float, fields: Mapping[str, Any] | None = None) -> None:
        """Put it into *state*, whatever was heard, with *fields*."""
        self.__dict__.update(fields or {})
        self.state, self.timestamp = state, timestamp

    def merge(self, state: str, timestamp: float, fields: Mapping[str, Any]) -> None:
        """Take of *fields*, of an event that comes too late, what :attr:`merge_rules` keep."""
        keep = self.merge_rules.get(state)
        self.__dict__.update(
            {name: value for name, value in fields.items() if (name in keep if keep else _may_hold(name))}
        )

    def on_sent(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-sent``."""
        self.event("sent", timestamp, None, fields)

    def on_received(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-received``."""
        self.event("received", timestamp, None, fields)

    def on_started(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-started``."""
        self.event("started", timestamp, None, fields)

    def on_succeeded(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-succeeded``."""
        self.event("succeeded", timestamp, None, fields)

    def on_failed(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-failed``."""
        self.event("failed", timestamp, None, fields)

    def on_retried(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-retried``."""
        self.event("retried", timestamp, None, fields)

    def on_revoked(self, timestamp: float, **fields: Any) -> None:
        """Take in ``task-revoked``."""
        self.event("revoked", timestamp, None, fields)

    def on_unknown_event(self, shortype: str, timestamp: float, **fields: Any) -> None:
        """Take in an event of somebody's own [B948]."""
        self.event(shortype, timestamp, None, fields)

    # -- what it is ---------------------------------------------------------------------------------------------------

    def info(self, fields: Iterable[str] | None = None, extra: Iterable[str] = ()) -> dict[str, Any]:
        """Return the attributes worth showing that are known [B662]."""
        names = [*(self._info_fields if fields is None else fields), *(extra or ())]
        return {name: value for name in names if (value := getattr(self, name, None)) is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, but for its worker."""
        values = {name: getattr(self, name) for name in self._fields if name not in ("root", "parent", "children")}
        return {**values, "root": self.root_id, "parent": self.parent_id, "children": list(self._children)}

    @property
    def id(self) -> str | None:
        """Its ``uuid``."""
        return self.uuid

    @property
    def origin(self) -> str | None:
        """Who spoke of it: its worker, or the client that sent it."""
        return self.client if self.worker is None else self.worker.id

    @property
    def ready(self) -> bool:
        """Whether it has come to its end."""
        return self.state in READY_STATES

    @property
    def parent(self) -> Task | None:
        """The task that sent it, where that is still known."""
        return self._known(self.parent_id)

    @property
    def root(self) -> Task | None:
        """The first task of its workflow, where that is still known."""
        return self._known(self.root_id)

    @property
    def children(self) -> set[Task]:
        """The tasks that it sent, as far as they are still known."""
        return {task for task in map(self._known, self._children) if task is not None}

    def add_child(self, uuid: str) -> None:
        """Note that it sent the task *uuid*."""
        self._children[uuid] = None

    def _known(self, uuid: str | None) -> Task | None:
        return None if uuid is None or self.cluster_state is None else self.cluster_state.tasks.get(uuid)

    def __eq__(self, other: object) -> bool:
        return self.uuid == other.uuid if isinstance(other, Task) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr__(self) -> str:
        return f"<Task: {self.name}({self.uuid}) {self.state} clock:{self.clock}>"


@lru_cache(maxsize=1000)
def _may_hold(name: str) -> bool:
    """Say whether a field of an event may become an attribute of this name."""
    return name not in _OWN and not name.startswith("_") and not callable(getattr(Task, name, None))
