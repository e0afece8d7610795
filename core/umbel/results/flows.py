"""What is kept of a workflow when it is sent (with ``result_extended``), so that it can be shown by an id alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.exceptions import BackendError, EncodeError, UmbelError
from umbel.results.graphs import ResultGraph, build_graph
from umbel.results.lineage import lineage, tuple_of
from umbel.results.tuples import result_from_tuple

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results.sets import Member

__all__ = ["flow_graph", "save_flow"]

logger = logging.getLogger(__name__)

#: How many steps, and how many names, are kept: a picture of more helps nobody.
_MOST_STEPS: Final = 100
_MOST_NAMES: Final = 1000


def save_flow(app: Umbel, result: Member, names: Mapping[str, str]) -> None:
    """Keep the ids of the workflow that ends with *result*, under its id and that of its first step.

    *names* maps ids to names of tasks. That it cannot be kept is logged, and no reason not to send the workflow.
    """
    most = dict(list(names.items())[:_MOST_NAMES])
    first = list(lineage(result))[-1]
    try:
        document = {"flow": tuple_of(result, _MOST_STEPS), "names": most}
        payload, _, _ = app.codec.dumps(document, app.conf.result_serializer)
        for node_id in {result.id, first.id}:
            app.backend_for(None).save_group(f"flow-{node_id}", payload, app.results.expires_s)
    except (BackendError, EncodeError) as error:
        logger.warning("the workflow of %s cannot be kept for 'umbel flow show': %s", result.id, error)


def flow_graph(app: Umbel, flow_id: str) -> ResultGraph:
    """Return the workflow of *flow_id*: the id of its first or its last task, of a group, or of any task in it.

    Of a task in the middle what came of it is shown. Raises :class:`~umbel.exceptions.UmbelError` for an id of which the
    store knows nothing.
    """
    record = _load(app, f"flow-{flow_id}")
    if record is not None:
        return build_graph(result_from_tuple(record["flow"], app), names=record.get("names") or {})
    saved = _load(app, flow_id)
    if saved is not None:
        return build_graph(result_from_tuple(saved["result"], app))
    result = app.AsyncResult(flow_id)
    if result.state == "PENDING":
        raise UmbelError(
            f"workflow {flow_id}: the result store knows nothing of it. It has not started, its results are over their "
            "time (result_expires) or were not kept, or the id is another's; with result_extended = true workflows are "
            "known from the moment they are sent"
        )
    return build_graph(result)


def _load(app: Umbel, name: str) -> dict[str, Any] | None:
    payload = app.backend_for(None).load_group(name)
    if payload is None:
        return None
    serializer = app.host.serializer(app.conf.result_serializer)
    document = app.codec.loads(payload, serializer.content_type, serializer.content_encoding, app.results.accepted)
    return document if isinstance(document, dict) else None
