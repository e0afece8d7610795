"""The result of a group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umbel.current import current_app
from umbel.results.sets import Member, ResultSet

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import ResultBackend

__all__ = ["GroupResult"]


class GroupResult(ResultSet):
    """The results of a group, under the group's own id; it can be kept in the store and found again by that id."""

    def __init__(
        self,
        id: str = "",
        results: Iterable[Member] = (),
        app: Umbel | None = None,
        parent: Member | None = None,
    ) -> None:
        super().__init__(results, app)
        self.id = id
        self.parent = parent

    def save(self, backend: ResultBackend | None = None) -> GroupResult:
        """Keep this group's ids in the result backend (or in *backend*), as long as results are kept."""
        app = self.app
        payload, _, _ = app.codec.dumps({"result": self.as_tuple()}, app.conf.result_serializer)
        (backend or app.backend_for(None)).save_group(self.id, payload, app.results.expires_s)
        return self

    def delete(self, backend: ResultBackend | None = None) -> None:
        """Remove what :meth:`save` kept."""
        (backend or self.app.backend_for(None)).save_group(self.id, None)

    @classmethod
    def restore(cls, id: str, backend: ResultBackend | None = None, app: Umbel | None = None) -> GroupResult | None:
        """Return the group that was saved under *id*; ``None`` when there is none (any more)."""
        app = app or current_app()
        payload = (backend or app.backend_for(None)).load_group(id)
        if payload is None:
            return None
        serializer = app.host.serializer(app.conf.result_serializer)
        document = app.codec.loads(payload, serializer.content_type, serializer.content_encoding, app.results.accepted)
        restored = app.result_from_tuple(document["result"])
        return restored if isinstance(restored, cls) else None

    def __hash__(self) -> int:  # type: ignore[override]  # a plain set changes what it is; a group stays the one of its id
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return other.id == self.id and other.results == self.results
        return other == self.id if isinstance(other, str) else NotImplemented

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id} [{', '.join(str(member.id) for member in self.results)}]>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, self.results, None, self.parent)
