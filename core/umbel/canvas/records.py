"""The definitions of workflows, kept once in the result store where messages need not carry them.

A chain of a thousand steps would carry all the steps to come in each of its messages. Where the store can hold them, a
message carries a reference instead (:mod:`umbel.canvas.references`), and its size stays the same from the first step to
the last. A record is named by the digest of its content: writing it again changes nothing, so a task that runs twice
leaves one record.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from umbel.canvas.packing import pack, unpack
from umbel.canvas.planning import PlannedCall, unchained
from umbel.canvas.references import is_reference, reference
from umbel.exceptions import BackendError, UmbelError, WorkflowLostError

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["WorkflowRecords"]

logger = logging.getLogger(__name__)

#: What takes no more than this many bytes travels in the messages: a reference would be as large.
_INLINE_BYTES: Final = 1000
#: How long a record is kept at least, beside the time that its steps wait for their ``countdown`` and ``eta``.
_KEPT_S: Final = 7 * 86_400.0
#: How long it is kept once it is over: a message that is delivered again may still ask for it.
_KEPT_AFTERWARDS_S: Final = 3600.0
#: How many records a process remembers, so that a step costs the same however long the chain is.
_REMEMBERED: Final = 16
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0

_Steps = list[dict[str, Any]]


class WorkflowRecords:
    """Stores and finds the records of one application's workflows. Thread-safe."""

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._known: OrderedDict[str, tuple[bytes, _Steps]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def is_used(self) -> bool:
        """Whether this application stores definitions (``task_workflow_storage``)."""
        app = self._app
        mode = app.conf.task_workflow_storage
        if mode == "stored":
            return app.results.stores and not app.results.reads_once
        if mode == "embedded" or not app.results.is_shared:
            return False
        transport = app.host.transport(app, app.connections.broker_urls[0])
        return transport.capabilities.umbel_only

    @cached_property
    def _accepted(self) -> frozenset[str]:
        return self._app.codec.content_types(self._app.conf.accept_content)

    # -- writing ------------------------------------------------------------------------------------------------------

    def shorten(self, calls: Sequence[PlannedCall]) -> None:
        """Store what *calls* would carry of steps to come, where that is much, and have them carry references.

        Raises :class:`~umbel.exceptions.EncodeError` for what cannot be serialized, ``BackendError`` when the store
        does not answer.
        """
        bodies: dict[int, Mapping[str, Any]] = {}
        for call in calls:
            options = call.options
            if options.get("chord") or options.get("chain"):
                call.options = self._short_options(options, self._serializer(call), bodies)

    def _serializer(self, call: PlannedCall) -> str:
        task = self._app.tasks.get(call.name)
        chosen = call.options.get("serializer") or (None if task is None else task.serializer)
        return str(chosen or self._app.conf.task_serializer)

    def _short_options(
        self, options: Mapping[str, Any], serializer: str, bodies: dict[int, Mapping[str, Any]]
    ) -> dict[str, Any]:
        short = dict(options)
        body, chain = options.get("chord"), options.get("chain")
        if body:
            known = bodies.get(id(body))  # all members of a header carry the same one
            short["chord"] = known or bodies.setdefault(id(body), self._short_body(body, serializer, bodies))
        if chain:
            short["chain"] = self._short_chain(chain, serializer, bodies)
        return short

    def _short_chain(self, chain: Sequence[Any], serializer: str, bodies: dict[int, Mapping[str, Any]]) -> list[Any]:
        steps = list(chain)
        # The last step is told of the chord around the chain; the others have nothing of their own to carry.
        steps[0] = self._short_step(steps[0], serializer, bodies)
        if len(steps) == 1:
            return steps
        found = self._stored(steps, serializer)
        return steps if found is None else [found]

    def _short_step(
        self, step: Mapping[str, Any], serializer: str, bodies: dict[int, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        options = step.get("options") or {}
        if is_reference(step) or not (options.get("chord") or options.get("chain")):
            return step
        return {**step, "options": self._short_options(options, serializer, bodies)}

    def _short_body(
        self, body: Mapping[str, Any], serializer: str, bodies: dict[int, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        if is_reference(body):
            return body
        size = {"chord_size": body["chord_size"]} if "chord_size" in body else {}
        short = {**self._short_step(unchained(body), serializer, bodies), **size}
        found = self._stored([short], serializer)
        return short if found is None else {**found, **size}

    def _stored(self, steps: Sequence[Mapping[str, Any]], serializer: str) -> dict[str, Any] | None:
        """Store *steps* (last first) and return the reference to all of them; ``None`` when they are short."""
        payload = pack(self._app, steps, serializer)
        if len(payload) <= _INLINE_BYTES:
            return None
        from hashlib import blake2b  # stdlib, costs milliseconds at start-up, and few programs store workflows

        record_id = blake2b(payload, digest_size=16).hexdigest()
        kept_s = max(_KEPT_S, self._app.results.chord_expires_s or 0.0) + _delays_s(steps, self._app.now())
        self._app.backend_for(None).save_group(_key(record_id), payload, kept_s)
        return reference(record_id, len(steps), steps, None)

    # -- reading ------------------------------------------------------------------------------------------------------

    def next_step(self, chain: Sequence[Any], patience_s: float) -> tuple[Mapping[str, Any], list[Any]]:
        """Return the next step of *chain* (last first) and what follows it.

        Raises :class:`~umbel.exceptions.WorkflowLostError` when its record is gone, and ``BackendError`` when the store
        does not answer for *patience_s*.
        """
        *rest, following = chain
        if not is_reference(following):
            return following, rest
        step, further = self.unfolded(following, patience_s)
        if not further:
            self.let_expire(following["kwargs"]["record"])
        return step, [*rest, *further]

    def unfolded(self, found: Mapping[str, Any], patience_s: float = 0.0) -> tuple[Mapping[str, Any], list[Any]]:
        """Return the step that a reference begins with, and what follows it; errors as of :meth:`next_step`."""
        steps, left = self._steps(found, patience_s)
        step: Mapping[str, Any] = steps[left - 1]
        known_end = found["kwargs"].get("end")
        further = [reference(found["kwargs"]["record"], left - 1, steps, known_end)] if left > 1 else []
        if is_reference(step):  # a workflow that took the place of a task in another one
            step, inner = self.unfolded(step, patience_s)
            return step, [*further, *inner]
        return step, further

    def expanded(self, chain: Sequence[Any], patience_s: float) -> list[Mapping[str, Any]]:
        """Return *chain* with all its steps, last first; errors as of :meth:`next_step`."""
        expanded: list[Mapping[str, Any]] = []
        for step in chain:
            if is_reference(step):
                steps, left = self._steps(step, patience_s)
                expanded.extend(self.expanded(steps[:left], patience_s))
            else:
                expanded.append(step)
        return expanded

    def let_expire(self, record_id: str) -> None:
        """Have a record that is over disappear soon; that it cannot be done now is no harm, it expires in any case."""
        known = self._known.get(record_id)
        try:
            payload = known[0] if known is not None else self._app.backend_for(None).load_group(_key(record_id))
            if payload is not None:
                self._app.backend_for(None).save_group(_key(record_id), payload, _KEPT_AFTERWARDS_S)
        except BackendError as error:
            logger.debug("the record %s of a workflow stays until it expires: %s", record_id, error)

    def _steps(self, found: Mapping[str, Any], patience_s: float) -> tuple[_Steps, int]:
        kwargs = found["kwargs"]
        record_id, left = str(kwargs.get("record")), kwargs.get("left")
        known = self._known.get(record_id)
        if known is None:
            payload = self._read(record_id, patience_s)
            if payload is None:
                raise WorkflowLostError(
                    f"the record {record_id} of a workflow is not in the result store: it was removed, it expired, or "
                    "this worker has another result_backend than the program that sent the workflow; the steps from "
                    f"{found['options'].get('task_id')} on cannot be run"
                )
            known = payload, self._decoded(record_id, payload)
            self._remember(record_id, known)
        steps = known[1]
        if not isinstance(left, int) or not 1 <= left <= len(steps):
            raise WorkflowLostError(f"the record {record_id} of a workflow has {len(steps)} steps, asked for {left!r}")
        return steps, left

    def _decoded(self, record_id: str, payload: bytes) -> _Steps:
        try:
            steps = unpack(self._app, payload, self._accepted)
        except UmbelError as error:
            raise WorkflowLostError(f"the record {record_id} of a workflow cannot be read: {error}") from error
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise WorkflowLostError(f"the record {record_id} of a workflow holds {steps!r:.80}, expected its steps")
        return steps

    def _remember(self, record_id: str, known: tuple[bytes, _Steps]) -> None:
        with self._lock:
            self._known[record_id] = known
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _read(self, record_id: str, patience_s: float) -> bytes | None:
        """Read a record; a store that does not answer is asked again for *patience_s*."""
        give_up_at = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._app.backend_for(None).load_group(_key(record_id))
            except BackendError as error:
                if time.monotonic() + pause_s > give_up_at:
                    raise
                logger.warning("the record of a workflow cannot be read, trying again: %s", error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _key(record_id: str) -> str:
    return f"workflow-{record_id}"


def _delays_s(steps: Sequence[Mapping[str, Any]], now: dt.datetime) -> float:
    """Return the seconds for which *steps* ask to wait, one after the other."""
    waits = 0.0
    for step in steps:
        options = step.get("options") or {}
        countdown, eta = options.get("countdown"), options.get("eta")
        if isinstance(countdown, int | float):
            waits += countdown
        elif isinstance(countdown, dt.timedelta):
            waits += countdown.total_seconds()
        if isinstance(eta, str):
            eta = dt.datetime.fromisoformat(eta)
        if isinstance(eta, dt.datetime):
            waits += max(0.0, ((eta if eta.tzinfo else eta.replace(tzinfo=now.tzinfo)) - now).total_seconds())
    return waits
