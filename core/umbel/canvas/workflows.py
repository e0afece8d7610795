"""Signatures on their way out: frozen, planned, encoded, published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from umbel.calling.options import check_options
from umbel.calling.sending import add_child, prepare_planned, publish
from umbel.canvas.freezing import Frozen, chain_steps, freeze, single_tasks
from umbel.canvas.planning import PlannedCall, plan
from umbel.canvas.signature import Signature, as_signature_list
from umbel.exceptions import BackendError
from umbel.model import Publication

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.canvas.records import WorkflowRecords
    from umbel.results.sets import Member

__all__ = ["Workflows"]

#: Options of sending itself; they mean nothing to the messages.
_SENDING = ("connection", "producer", "publisher", "timeout", "confirm_timeout", "connect_timeout", "retry",
            "retry_policy", "declare", "add_to_parent", "result_cls")  # fmt: skip


class Workflows:
    """Sends an application's signatures. Thread-safe."""

    def __init__(self, app: Umbel) -> None:
        self._app = app

    def send(
        self, signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Member:
        """Send *signature* with *args*, *kwargs* and *options* merged in; everything that starts goes in one request."""
        app = self._app
        if app.conf.task_always_eager:
            return signature.apply(args, kwargs, **options)  # type: ignore[no-any-return]
        if signature.subtask_type is None:
            args, kwargs, options = signature.merged(args, kwargs, options)
            return app.calls.send(app.tasks.get(signature.task), signature.task, args, kwargs, options)
        (result,) = self._send([(signature, args, kwargs, options)], options)
        return result

    def send_all(self, signatures: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> list[Member]:
        """Send *signatures* in one request; return their results in order."""
        made = as_signature_list(signatures, self._app)
        if self._app.conf.task_always_eager:
            return [signature.apply(**options) for signature in made]
        return self._send([(signature, (), {}, options) for signature in made], options)

    def _send(
        self,
        calls: Sequence[tuple[Signature, Sequence[Any], Mapping[str, Any], Mapping[str, Any]]],
        options: Mapping[str, Any],
    ) -> list[Member]:
        sending = {name: options[name] for name in _SENDING if name in options}
        planned: list[PlannedCall] = []
        results: list[Member] = []
        flows: list[tuple[Frozen, Member]] = []
        for signature, args, kwargs, given in calls:
            check_options(given, f"{signature.task}.apply_async")
            lasting = {name: value for name, value in given.items() if name not in _SENDING}
            frozen, result = freeze(self._app, {**signature, "options": {**signature.options, **lasting}})
            planned += plan(frozen, args, kwargs)
            if self._keeps_flows and frozen["subtask_type"] is not None:
                flows.append((frozen, result))
            frozen = {}  # with thousands of members it is work for the garbage collector
            results.append(result)
        publications = self.prepare_calls(planned)
        planned.clear()
        self._keep_flows(flows)
        if publications:
            publish(self._app.publisher, publications, sending)
        if options.get("add_to_parent", True):
            for result in results:
                add_child(result)
        return results

    def _keep_flows(self, flows: Sequence[tuple[Frozen, Member]]) -> None:
        if flows:
            from umbel.results.flows import save_flow  # for start-up: with result_extended alone

            for frozen, result in flows:
                names = {task["options"]["task_id"]: task["task"] for task in single_tasks(frozen)}
                save_flow(self._app, result, names)

    @property
    def _keeps_flows(self) -> bool:
        return bool(self._app.conf.result_extended) and self._app.results.stores

    @cached_property
    def records(self) -> WorkflowRecords:
        """Where the definitions of workflows are kept."""
        from umbel.canvas.records import WorkflowRecords  # for start-up: a group of plain calls needs none

        return WorkflowRecords(self._app)

    def prepare(self, signature: Signature) -> list[Publication]:
        """Return what sending *signature* publishes, without talking to the broker."""
        frozen, _ = freeze(self._app, signature)
        return self.prepare_calls(plan(frozen))

    def prepare_calls(self, calls: Sequence[PlannedCall], *, may_store: bool = True) -> list[Publication]:
        """Route and encode planned calls. Raises ``BackendError`` for a chord where no results are kept.

        Where definitions of workflows are stored, and it *may*, long ones are put into the result store.
        """
        if not self._app.results.stores and any(call.options.get("chord") for call in calls):
            raise BackendError(
                "a chord: expected a result backend, which counts the members of its header; got none: set "
                "result_backend, for example Umbel(..., backend='sqlite:///results.db')"
            )
        if may_store and any("chain" in call.options or "chord" in call.options for call in calls):
            records = self.records
            if records.is_used:
                records.shorten(calls)
        return prepare_planned(self._app, calls)

    def freeze(self, signature: Mapping[str, Any]) -> tuple[Frozen, Member]:
        """Return a copy in which everything has its id, and the result that sending it will have."""
        return freeze(self._app, signature)

    def steps_of(self, signature: Mapping[str, Any]) -> list[Signature]:
        """Return the steps of a chain as they are sent: inner chains dissolved, groups in the middle made chords."""
        return as_signature_list(chain_steps(signature), self._app)
