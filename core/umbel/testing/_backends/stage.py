"""What every test of a result backend stands on: one fresh store, and connections that are closed afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend
from umbel.states import SUCCESS
from umbel.testing.capabilities import is_about, skip_undeclared
from umbel.testing.plugins import make_app, make_backend
from umbel.testing.processes import ChildProcess

__all__ = ["SOON_S", "BackendStage"]

#: How long a test waits for what must come; far above what it should take.
SOON_S = 10.0


class BackendStage:
    """The author's fixture and hooks, and what the tests use. See ``BackendContract``."""

    #: How many seconds after a result was stored a waiter may learn of it on a busy machine.
    lateness_s: float = 1.0

    url: str
    app: Any
    capabilities: BackendCapabilities

    # -- what an author gives -----------------------------------------------------------------------------------------

    @pytest.fixture
    def backend_url(self) -> str:
        """The URL of a fresh, empty store. The one fixture that must be given."""
        pytest.fail(f"{type(self).__name__} must give a fixture 'backend_url': the URL of a fresh, empty store")

    def make_app(self) -> Any:
        """Return the app that the backend is made for; ``None`` means a plain ``Umbel``. May be overridden."""
        return None

    def inject_garbage(self, task_id: str, data: bytes) -> None:
        """Put *data* into the store in place of the result of *task_id*. May be overridden."""
        raise NotImplementedError

    def cut_connection(self, backend: ResultBackend) -> None:
        """Cut the connection of *backend*, as a failing network would. May be overridden."""
        raise NotImplementedError

    def slow_store(self) -> AbstractContextManager[None]:
        """Return a context in which the store takes requests and does not answer for 30 s. May be overridden."""
        raise NotImplementedError

    def unreachable_url(self) -> str:
        """Return a URL with a password ``s3cret`` behind which no store answers. May be overridden."""
        raise NotImplementedError

    # -- what the tests use -------------------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _on_stage(self, request: pytest.FixtureRequest, backend_url: str) -> Iterator[None]:
        self.url = backend_url
        self.app = self.make_app() or make_app(backend=self.url)
        self._token = secrets.token_hex(3)
        with ExitStack() as self._closing:
            self.backend = self.connect()
            self.capabilities = self.backend.capabilities
            name = type(self.backend).__name__
            skip_undeclared(request.function, self.capabilities, name, self, BackendStage)
            if self.capabilities.reads_once and not is_about(request.function, "reads_once"):
                pytest.skip(f"{name} declares 'reads_once': results are their caller's, and this test asks a store")
            yield

    def connect(self) -> ResultBackend:
        """Return another connection to the store, opened."""
        backend = make_backend(self.url, self.app)
        self._closing.callback(backend.close)
        return backend

    def child(self) -> ChildProcess:
        """Return another process at the store, ready."""
        child = ChildProcess("backend", self.url)
        self._closing.callback(child.close)
        child.call("ready")
        return child

    def id(self, name: str = "task") -> str:
        """Return *name* made unique, for stores that cannot be emptied between tests."""
        return f"{name}-{self._token}"

    def meta(self, name: str = "task", state: str = SUCCESS, payload: bytes = b"{}", **options: Any) -> TaskMeta:
        """Return a result of the task *name* (made unique)."""
        return TaskMeta(self.id(name), state, payload, **options)

    def state(self, name: str = "task", backend: ResultBackend | None = None) -> str | None:
        """Return the state that is stored of the task *name*."""
        [found] = (backend or self.backend).load([self.id(name)])
        return None if found is None else found.state

    def part(self, group: str, index: int | None, size: int | None, **options: Any) -> ChordPart:
        """Return the part of member *index* of the chord *group* (made unique)."""
        options.setdefault("payload", str(index).encode())
        options.setdefault("task_id", f"{self.id(group)}-{index}")
        return ChordPart(self.id(group), index=index, state=SUCCESS, body=b"the body", size=size, **options)

    @staticmethod
    def payloads(joined: Sequence[JoinedChord]) -> list[list[bytes]]:
        """Return the payloads of the parts of each completed chord."""
        return [[part.payload for part in chord.parts] for chord in joined]
