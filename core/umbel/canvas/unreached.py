"""Steps of a workflow that are never reached, because one before them had no result: they end with its error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from umbel.canvas.freezing import single_tasks
from umbel.canvas.parts import part_of
from umbel.canvas.references import end_of, is_reference, lost_end
from umbel.model import ChordPart, Commit, TaskMeta
from umbel.protocol.results import encode_meta

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["last_part", "steps_end", "unreached"]


def steps_end(app: Umbel, following: list[Any], state: str, error: BaseException) -> Commit:
    """Return the end of the steps *following* (last first), none of which will run, and of the chord at their end.

    Of a reference only its end is known here: give the expanded steps where they are to be had.
    """
    ended = Commit()
    for step in reversed(following):
        ended.metas.extend(unreached(app, step, state, error))
    part = last_part(app, following[0], state, error) if following else None
    if part is not None:
        ended.parts.append(part)
    return ended


def unreached(app: Umbel, signature: Mapping[str, Any], state: str, error: BaseException) -> Iterator[TaskMeta]:
    """Yield the results of all single tasks of *signature*, which will never run."""
    if not app.results.stores:
        return
    if is_reference(signature):
        signature = lost_end(signature)
    conf = app.conf
    for single in single_tasks(signature):
        options = single.get("options") or {}
        task = app.tasks.get(str(single.get("task")))
        ignores = options.get("ignore_result")
        if ignores is None and task is not None:
            ignores = task.ignore_result
        if ignores or not options.get("task_id") or (task is not None and task.backend_url is not None):
            continue
        yield encode_meta(
            options["task_id"],
            state,
            error,
            app.codec,
            serializer=conf.result_serializer,
            group_id=options.get("group_id"),
            compression=conf.result_compression,
            expires_s=app.results.expires_s,
            reply_to=options.get("reply_to"),
        )


def last_part(app: Umbel, signature: Mapping[str, Any], state: str, error: BaseException) -> ChordPart | None:
    """Return the part of the chord in whose header *signature* is the end of a member, if it is."""
    task_id, place = end_of(signature)
    if task_id is None or place.get("chord") is None or place.get("group_id") is None:
        return None
    return part_of(app, task_id, place, state, error)
