"""Celery's base class of result backends over a store of keys and values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from umbel import states
from umbel_extension_celery.backends.contract import Backend

__all__ = ["KeyValueStoreBackend"]


class KeyValueStoreBackend(Backend):
    """A subclass writes ``get``, ``set`` and ``delete``; keys are text, values what :meth:`encode` makes."""

    task_keyprefix: Any = "celery-task-meta-"
    group_keyprefix: Any = "celery-taskset-meta-"
    chord_keyprefix: Any = "chord-unlock-"
    implements_incr: ClassVar[bool] = False

    # -- the store's own ----------------------------------------------------------------------------------------------

    def get(self, key: Any) -> Any:
        """Return the value of *key*, or ``None``."""
        raise NotImplementedError(f"{type(self).__name__} must define get()")

    def set(self, key: Any, value: Any) -> Any:
        """Keep *value* under *key*."""
        raise NotImplementedError(f"{type(self).__name__} must define set()")

    def delete(self, key: Any) -> Any:
        """Remove *key*."""
        raise NotImplementedError(f"{type(self).__name__} must define delete()")

    def mget(self, keys: Iterable[Any]) -> Sequence[Any]:
        """Return the values of *keys*."""
        return [self.get(key) for key in keys]

    def incr(self, key: Any) -> int:
        """Count *key* up; only where ``implements_incr``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement incr")

    def expire(self, key: Any, value: float) -> Any:
        """Let *key* live for *value* seconds more."""
        raise NotImplementedError(f"{type(self).__name__} does not implement expire")

    def _set_with_state(self, key: Any, value: Any, state: str) -> Any:
        return self.set(key, value)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def get_key_for_task(self, task_id: str, key: str = "") -> Any:
        """Return the key of a task."""
        return self._key(self.task_keyprefix, task_id, key)

    def get_key_for_group(self, group_id: str, key: str = "") -> Any:
        """Return the key of a group."""
        return self._key(self.group_keyprefix, group_id, key)

    def get_key_for_chord(self, group_id: str, key: str = "") -> Any:
        """Return the key of a chord."""
        return self._key(self.chord_keyprefix, group_id, key)

    def _key(self, prefix: Any, identity: str, key: str) -> str:
        text = prefix.decode() if isinstance(prefix, bytes) else prefix
        return f"{text}{identity}{key}"

    # -- what the base class asks for -----------------------------------------------------------------------------------

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        key = self.get_key_for_task(task_id)
        earlier = self._get_task_meta_for(task_id)
        if earlier["status"] == states.SUCCESS:
            return result  # stands for ever, whatever a second attempt says
        done = dt.datetime.now(dt.UTC).isoformat() if state in self.READY_STATES else None
        meta = {
            "status": state,
            "result": result,
            "traceback": traceback,
            "children": self.current_task_children(request),
            "date_done": done,
            "task_id": task_id,
        }
        for name, field in (("group", "group_id"), ("parent_id", "parent_id")):
            if getattr(request, name, None):
                meta[field] = getattr(request, name)
        self._set_with_state(key, self.encode(meta), state)
        return result

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        value = self.get(self.get_key_for_task(task_id))
        if not value:
            return {"status": states.PENDING, "result": None, "task_id": task_id}
        return self.meta_from_decoded(dict(self.decode(value)))

    def _forget(self, task_id: str) -> None:
        self.delete(self.get_key_for_task(task_id))

    def _save_group(self, group_id: str, result: Any) -> Any:
        self._set_with_state(
            self.get_key_for_group(group_id), self.encode({"result": result.as_tuple()}), states.SUCCESS
        )
        return result

    def _restore_group(self, group_id: str) -> Any:
        value = self.get(self.get_key_for_group(group_id))
        if not value:
            return None
        meta = dict(self.decode(value))
        meta["result"] = self.as_group_result(meta["result"])
        return meta

    def _delete_group(self, group_id: str) -> None:
        self.delete(self.get_key_for_group(group_id))
