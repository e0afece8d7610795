"""``app.backend``: Umbel's result backend with Celery's methods."""

from __future__ import annotations

from typing import Any

from umbel import states
from umbel.protocol.results import encode_meta
from umbel.results import GroupResult
from umbel.spi import ResultBackend
from umbel_extension_celery.backends.contract import Backend, DisabledBackend
from umbel_extension_celery.backends.foreign import ForeignBackend

__all__ = ["UmbelBackend", "backend_facade"]


class UmbelBackend(Backend):
    """Asks Umbel's backend *store*, whose own methods are had as attributes of this too."""

    supports_native_join = True

    def __init__(self, app: Any, store: ResultBackend, url: str | None = None) -> None:
        super().__init__(app, url=url)
        self.store_of_umbel = store

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        conf = self.app.conf
        exception = self.exception_to_python(result) if state in self.EXCEPTION_STATES else result
        self.store_of_umbel.store(
            [
                encode_meta(
                    task_id,
                    state,
                    exception,
                    self.app.codec,
                    serializer=conf.result_serializer,
                    traceback=traceback,
                    children=self.current_task_children(request),
                    retries=getattr(request, "retries", 0) or 0,
                    group_id=getattr(request, "group", None),
                    parent_id=getattr(request, "parent_id", None),
                    compression=conf.result_compression,
                    expires_s=self.app.results.expires_s,
                    reply_to=getattr(request, "reply_to", None),
                )
            ]
        )
        return result

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        (meta,) = self.store_of_umbel.load([task_id])
        if meta is None:
            return {"status": states.PENDING, "result": None, "task_id": task_id}
        document = self.app.results.decode(meta)
        return {
            "status": document.status,
            "result": document.result,
            "traceback": document.traceback,
            "children": document.children,
            "date_done": document.date_done,
            "task_id": task_id,
            "group_id": document.group_id,
            "parent_id": document.parent_id,
        }

    def _forget(self, task_id: str) -> None:
        self.store_of_umbel.forget([task_id])

    def _save_group(self, group_id: str, result: Any) -> Any:
        result.save()
        return result

    def _restore_group(self, group_id: str) -> Any:
        found = GroupResult.restore(group_id, app=self.app)
        return None if found is None else {"result": found}

    def _delete_group(self, group_id: str) -> None:
        self.store_of_umbel.save_group(group_id, None)

    def cleanup(self) -> None:
        """Remove results that are over their time."""
        self.store_of_umbel.expire(self.app.now().timestamp())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "store_of_umbel":
            raise AttributeError(name)
        return getattr(self.store_of_umbel, name)


def backend_facade(app: Any, store: ResultBackend) -> Any:
    """Return *store* as Celery's users know backends: a project's own class is that itself."""
    if isinstance(store, ForeignBackend):
        return store.backend
    if not store.capabilities.stores:
        return DisabledBackend(app)
    return UmbelBackend(app, store, app.backend_url)
