"""Several results as one."""

from __future__ import annotations

import builtins
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Optional, Union

from umbel.current import current_app
from umbel.exceptions import TimeoutError
from umbel.results.async_result import AsyncResult
from umbel.results.celery_names import CeleryNames
from umbel.results.joining import assert_may_wait
from umbel.results.lineage import lineage, tuple_of
from umbel.results.members import Members
from umbel.results.revocable import Revocable
from umbel.results.waiting import wait_in_loop

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import ResultBackend

__all__ = ["Member", "ResultSet"]

#: With more results than this still to come, there is a pause between two looks.
_MANY: Final = 100
_PAUSE_S: Final = 0.003

Member = Union[AsyncResult[Any], "ResultSet"]


class ResultSet(Members, Revocable, CeleryNames):
    """Several results, taken as one. The order is that of the calls; thread-safe for reading."""

    #: A group has an id and may have a parent; a plain set has neither.
    id: str = ""
    parent: Optional[Member] = None  # noqa: UP045 - Member is a forward reference when this is read

    def __init__(self, results: Iterable[Member], app: Umbel | None = None) -> None:
        super().__init__(results)
        self._app = app

    @property
    def app(self) -> Umbel:
        """The application whose store is asked."""
        if self._app is None:
            self._app = self.results[0].app if self.results else current_app()
        return self._app

    # -- what is known --------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether all members have ended."""
        self._refresh()
        return all(member.ready() for member in self.results)

    def successful(self) -> bool:
        """Whether all members have ended well."""
        self._refresh()
        return all(member.successful() for member in self.results)

    def failed(self) -> bool:
        """Whether any member has failed."""
        self._refresh()
        return any(member.failed() for member in self.results)

    def waiting(self) -> bool:
        """Whether any member has not ended."""
        return not self.ready()

    def completed_count(self) -> int:
        """How many members have ended well."""
        self._refresh()
        return sum(member.successful() for member in self.results)

    def leaves(self) -> list[AsyncResult[Any]]:
        """Return the single results of all levels, in order."""
        found: list[AsyncResult[Any]] = []
        for member in self.results:
            found.extend(member.leaves() if isinstance(member, ResultSet) else [member])
        return found

    def check_store(self) -> None:
        """Raise ``ValueError`` unless all members are kept in one result backend: one wait is for all of them."""
        leaves = self.leaves()
        given = [leaf.store for leaf in leaves]
        if given.count(None) == len(given):  # nearly always, and told ten times faster
            return
        stores = {
            store if isinstance(store, str | None) else id(store): leaf
            for store, leaf in zip(given, leaves, strict=True)
        }
        if len(stores) > 1:
            named = [(leaf.store or "the one of the application", leaf.id) for leaf in stores.values()]
            shown = " and ".join(f"{store} (of {task_id})" for store, task_id in named)
            raise ValueError(
                f"a group's results: expected one result backend for all members, got {shown}; give its tasks the same "
                "backend=, or none"
            )

    def _store(self) -> ResultBackend:
        """Return the result backend of all members."""
        self.check_store()
        leaves = self.leaves()
        return leaves[0].backend if leaves else self.app.backend_for(None)

    def _refresh(self) -> None:
        """Read what is not known to be final in one request."""
        pending = {leaf.id: leaf for leaf in self.leaves() if not leaf.is_settled}
        if len(pending) > 1:
            app = self.app
            for meta in self._store().load(list(pending)):
                if meta is not None:
                    pending[meta.task_id].accept(app.results.decode(meta))

    # -- waiting --------------------------------------------------------------------------------------------------

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """Wait for all members and return their values in order; a member that is a group gives a list.

        *timeout* is for all of them together: :class:`~umbel.exceptions.TimeoutError`. With *propagate* the first
        failure that is seen is raised; without, exceptions stand in the list. With *callback* (called with id and
        value as members end) the answer is an empty list.
        """
        if disable_sync_subtasks:
            assert_may_wait()
        for result, value in self._as_they_end(timeout, propagate, interval, on_interval):
            if callback is not None:
                callback(result.id, value)
        return [] if callback is not None else self.values(propagate)

    get = join

    def iterate(self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5) -> Iterator[Any]:
        """Yield the values as the members end (B557, B1053)."""
        for _, value in self._as_they_end(timeout, propagate, interval, None):
            yield value

    def as_completed(self, timeout: float | None = None) -> Iterator[AsyncResult[Any]]:
        """Yield the results themselves as they end, well or not; nothing of theirs is raised."""
        for result, _ in self._as_they_end(timeout, False, 0.5, None):
            yield result

    def _as_they_end(
        self, timeout: float | None, propagate: bool, interval: float, on_interval: Callable[[], Any] | None
    ) -> Iterator[tuple[AsyncResult[Any], Any]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        leaves = self.leaves()
        pending = {leaf.id: leaf for leaf in leaves if not leaf.is_settled}
        for leaf in leaves:
            if leaf.is_settled:
                yield leaf, leaf.maybe_throw(propagate)
        app, slice_s = self.app, 30.0 if on_interval is None else interval
        store = self._store() if pending else None
        while pending and store is not None:
            left = slice_s if deadline is None else min(slice_s, deadline - time.monotonic())
            for meta in store.wait(list(pending), max(0.0, left)):
                leaf = pending.pop(meta.task_id)
                leaf.accept(app.results.decode(meta))
                yield leaf, leaf.maybe_throw(propagate)
            if len(pending) > _MANY:  # each look asks for all of them: let some more come in before the next
                time.sleep(_PAUSE_S)
            if on_interval is not None:
                on_interval()
            if pending and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"{len(pending)} of {len(leaves)} results have no final state after {timeout:g} s")

    def values(self, propagate: bool = True) -> list[Any]:
        """Return what the members have now, in order, without waiting."""
        return [
            member.values(propagate) if isinstance(member, ResultSet) else member.maybe_throw(propagate)
            for member in self.results
        ]

    async def aget(  # the name is that of get()
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as in join()
        propagate: bool = True,
    ) -> list[Any]:
        """Like :meth:`join`, for coroutines."""
        import asyncio  # stdlib; a program without coroutines should not pay for it

        pending = [leaf for leaf in self.leaves() if not leaf.is_settled]
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(wait_in_loop(leaf) for leaf in pending))
        except builtins.TimeoutError:
            raise TimeoutError(f"{self!r}: not all results are final after {timeout:g} s") from None
        return self.values(propagate)

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self.aget().__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield the values as the members end."""
        import asyncio  # stdlib; a program without coroutines should not pay for it

        for ended in asyncio.as_completed([leaf.aget() for leaf in self.leaves()]):
            yield await ended

    def maybe_throw(self, callback: Callable[[str, Any], Any] | None = None, propagate: bool = True) -> None:
        """Raise the exception of the first member that has one."""
        self._refresh()
        for member in self.results:
            member.maybe_throw(propagate=propagate, callback=callback)

    maybe_reraise = maybe_throw

    def revocable_ids(self) -> list[str]:
        """Return the ids of all members, which :meth:`revoke` calls off."""
        return [leaf.id for leaf in self.leaves()]

    @property
    def backend(self) -> ResultBackend:
        """The store that all members are kept in."""
        return self._store()

    def as_tuple(self) -> list[Any]:
        """Return ``[[id, parent], [members]]``: how a group stands in messages and stores."""
        return tuple_of(self)

    def members_as_tuples(self) -> list[Any]:
        """Return the members as tuples; those that come after the same step as the group do not say so again."""
        parent = self.parent
        return [
            [[member.id, None], member.members_as_tuples()]
            if member.parent is parent or member.parent is None
            else member.as_tuple()
            for member in self.results
        ]

    def as_list(self) -> list[str]:
        """Return the id of this group and those of its parents."""
        return [node.id for node in lineage(self)]

    def forget(self) -> None:
        """Remove what is stored of all members, and of the steps before them."""
        for member in self.results:
            member.forget()

    def forget_own(self) -> None:
        """Remove what is stored of all members, and leave the steps before them."""
        for member in self.results:
            member.forget_own()

    def __eq__(self, other: object) -> bool:
        return other.results == self.results if isinstance(other, ResultSet) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(str(member.id) for member in self.results)}]>"
