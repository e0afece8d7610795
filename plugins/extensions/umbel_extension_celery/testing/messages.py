"""Task messages for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from umbel.calling.ids import new_id

__all__ = ["TaskMessage", "TaskMessage1", "task_message_from_sig"]


def TaskMessage(  # noqa: N802 - Celery's name
    name: str,
    id: str | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    callbacks: Any = None,
    errbacks: Any = None,
    chain: Any = None,
    shadow: str | None = None,
    utc: bool | None = None,
    **options: Any,
) -> Any:
    """Return what a message of protocol 2 would be, decoded."""
    task_id = id or new_id()
    embed = {"callbacks": callbacks, "errbacks": errbacks, "chain": chain}
    return SimpleNamespace(
        headers={"id": task_id, "task": name, "shadow": shadow, **options},
        properties={"correlation_id": task_id},
        content_type="application/json",
        content_encoding="utf-8",
        payload=(list(args), dict(kwargs or {}), embed),
        body=(list(args), dict(kwargs or {}), embed),
    )


def TaskMessage1(  # noqa: N802 - Celery's name
    name: str, id: str | None = None, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """Return what a message of protocol 1 would be, decoded."""
    payload = {"task": name, "id": id or new_id(), "args": list(args), "kwargs": dict(kwargs or {}), **options}
    return SimpleNamespace(headers={}, properties={}, payload=payload, body=payload, content_type="application/json")


def task_message_from_sig(app: Any, sig: Any, utc: bool = True, TaskMessage: Any = TaskMessage) -> Any:  # noqa: N803
    """Return the message that *sig* would be sent as."""
    sig.freeze()
    return TaskMessage(sig.task, id=sig.id, args=sig.args, kwargs=sig.kwargs, **sig.options)
