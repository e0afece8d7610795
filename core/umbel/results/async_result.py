"""The result of one call."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from umbel import exceptions
from umbel.current import current_app
from umbel.results.fields import ResultFields
from umbel.results.joining import assert_may_wait
from umbel.results.lineage import lineage, tuple_of
from umbel.results.revocable import Revocable
from umbel.results.trees import ResultTree
from umbel.results.waiting import wait_blocking, wait_in_loop
from umbel.states import FAILURE, PENDING, PROPAGATE_STATES, READY_STATES, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.protocol.results import ResultDocument
    from umbel.results.sets import Member
    from umbel.spi import ResultBackend

__all__ = ["AsyncResult"]

R = TypeVar("R")


class AsyncResult(ResultFields, ResultTree, Revocable, Generic[R]):
    """The result of a call, now or later. Thread-safe for reading; compares and hashes by its id; picklable.

    *parent* is the result of the step before this one in a chain, or of a chord's header. A final state is kept once it
    was seen; before that every attribute asks the store. ``await result`` gives what :meth:`get` gives. *ignored* says
    that the call asked for no result: then there is nothing to wait for.
    """

    __slots__ = ("__weakref__", "_app", "_backend_url", "_document", "id", "ignored", "parent")

    TimeoutError = exceptions.TimeoutError

    def __init__(
        self,
        id: str,
        backend: ResultBackend | str | None = None,
        task_name: str | None = None,
        app: Umbel | None = None,
        parent: Member | None = None,
    ) -> None:
        if not id:
            raise ValueError(f"AsyncResult: expected the id of a call, got {id!r}")
        self.id = id
        self.parent = parent
        self._app = app
        self._backend_url = backend
        self._document: ResultDocument | None = None
        self.ignored = False

    # -- where it is kept -----------------------------------------------------------------------------------------

    @property
    def app(self) -> Umbel:
        """The application whose store is asked."""
        if self._app is None:
            self._app = current_app()
        return self._app

    @property
    def backend(self) -> ResultBackend:
        """The store that is asked."""
        backend = self._backend_url
        return self.app.backend_for(backend) if backend is None or isinstance(backend, str) else backend

    @property
    def store(self) -> ResultBackend | str | None:
        """Where it is kept, as it was given: a store, its URL, or ``None`` for the application's own."""
        return self._backend_url

    @property
    def task_id(self) -> str:
        """The id, under its other name (B545)."""
        return self.id

    # -- waiting --------------------------------------------------------------------------------------------------

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, R], Any] | None = None,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
        EXCEPTION_STATES: Any = None,  # noqa: N803 - Celery's names
        PROPAGATE_STATES: Any = None,  # noqa: N803
    ) -> R:
        """Wait for the task to end and return its result, or raise its exception.

        ``None`` at once when the call ignores its result. *timeout* in seconds: then ``TimeoutError`` is raised. With
        *propagate* off the exception is returned. *follow_parents*: the failure of an earlier step of a chain is raised
        here too. *interval*: how often to look where *on_message* (called with each new state as a dict) or
        *on_interval* is given; waiting itself is pushed by the store where it can. ``RuntimeError`` inside a task,
        unless *disable_sync_subtasks* is off. *no_ack* and the states are Celery's, and ignored.
        """
        if self.ignored:
            return cast("R", None)
        if disable_sync_subtasks:
            assert_may_wait()
        if not self.is_settled:
            ancestors = self._ancestors() if propagate and follow_parents else []
            wait_blocking(self, ancestors, timeout, interval, on_message, on_interval)
        return cast("R", self.maybe_throw(propagate, callback))

    wait = get  # deprecated alias (B548)

    def __await__(self) -> Generator[Any, None, R]:
        return self.aget().__await__()

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> R:  # noqa: ASYNC109 - as in get()
        """Like :meth:`get`, for coroutines: the event loop goes on meanwhile, and no thread is held for each result."""
        if self.ignored:
            return cast("R", None)
        if not self.is_settled:
            await wait_in_loop(self, timeout)
        return cast("R", self.maybe_throw(propagate))

    def then(
        self,
        callback: Callable[[AsyncResult[R]], Any],
        on_error: Callable[[AsyncResult[R]], Any] | None = None,
        weak: bool = False,
    ) -> AsyncResult[R]:
        """Call *callback* with this result when the task has succeeded, *on_error* when it has not.

        Called in a thread of the application; at once, in this one, when the end is known already. *weak* is ignored.
        """

        def ended(_: AsyncResult[R], error: BaseException | None) -> None:
            chosen = callback if error is None and self.successful() else on_error
            if chosen is not None:
                chosen(self)

        if self._document is not None:
            ended(self, None)
        else:
            self.app.results.waiter.watch(self, ended)
        return self

    # -- what is known --------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The state's name; PENDING for an id that the store does not know."""
        document = self._load()
        return PENDING if document is None else document.status

    status = state

    @property
    def result(self) -> Any:
        """The return value, or the exception of a task that failed; a custom state's metadata; ``None`` before."""
        document = self._load()
        return None if document is None else document.result

    info = result

    @property
    def is_settled(self) -> bool:
        """Whether the final state is known here, so that nothing has to be asked."""
        if self._document is None:
            self._document = self.app.results.cached(self.id)
        return self._document is not None

    def ready(self) -> bool:
        """Whether the task has ended."""
        return self.state in READY_STATES

    def successful(self) -> bool:
        """Whether the task has ended well."""
        return self.state == SUCCESS

    def failed(self) -> bool:
        """Whether the task raised."""
        return self.state == FAILURE

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, R], Any] | None = None) -> Any:
        """Raise the task's exception where it has one (with *propagate*), else return its result so far."""
        document = self._load()
        state = PENDING if document is None else document.status
        value: Any = None if document is None else document.result
        if propagate and state in PROPAGATE_STATES:
            raise value if isinstance(value, BaseException) else exceptions.RemoteError(value)
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    # -- its relatives --------------------------------------------------------------------------------------------

    def _ancestors(self) -> list[AsyncResult[Any]]:
        """The earlier single steps of its chain, nearest first."""
        found: list[AsyncResult[Any]] = []
        node = self.parent
        while node is not None:
            if isinstance(node, AsyncResult):
                found.append(node)
            else:
                found.extend(node.leaves())
            node = node.parent
        return found

    def forget(self) -> None:
        """Remove the stored result, and those of the steps before it; from then on it is unknown."""
        for node in lineage(self):
            node.forget_own()

    def forget_own(self) -> None:
        """Remove the stored result, and leave those of the steps before it."""
        self._document = None
        self.app.results.forget_cached(self.id)
        self.backend.forget([self.id])

    # -- forms ----------------------------------------------------------------------------------------------------

    def as_tuple(self) -> list[Any]:
        """Return ``[[id, parent], None]``: how a result stands in messages and stores."""
        return tuple_of(self)

    def members_as_tuples(self) -> None:
        """Return ``None``: a single result has no members."""

    def as_list(self) -> list[str]:
        """Return the ids of this result and its parents."""
        return [node.id for node in lineage(self)]

    def accept(self, document: ResultDocument) -> None:
        """Take a document that was read for this id; a final one is kept."""
        if document.status in READY_STATES:
            self._document = document
            self.app.results.cache(document)

    def _load(self) -> ResultDocument | None:
        if self._document is None:
            self._document = self.app.results.cached(self.id)
        if self._document is not None:
            return self._document
        (meta,) = self.backend.load([self.id])
        if meta is None:
            return None
        document = self.app.results.decode(meta)
        self.accept(document)
        return document

    def _field(self, name: str) -> Any:
        return getattr(self._load(), name, None)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncResult):
            return other.id == self.id
        return other == self.id if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self._backend_url if isinstance(self._backend_url, str) else None
        return type(self), (self.id, backend, None, None, self.parent)
