"""The application: configuration, tasks and connections of one task queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.current import Application

if TYPE_CHECKING:
    from umbel.calling.publisher import Publisher
    from umbel.calling.queues import Queues
    from umbel.calling.router import CallRouter
    from umbel.host import Host
    from umbel.protocol.codec import Codec
    from umbel.registry import Registry
    from umbel.settings import Configuration
    from umbel.spi import ResultBackend, Transport

__all__ = ["Umbel"]


class Umbel(Application):
    """A task queue application."""

    main: str | None
    oid: str
    conf: Configuration
    tasks: Registry
    host: Host
    codec: Codec
    queues: Queues
    router: CallRouter
    publisher: Publisher
    steps: dict[str, set[type[Any]]]

    def __init__(
        self,
        main: str | None = None,
        *,
        broker: str | Sequence[str] | None = None,
        backend: str | None = None,
        include: Sequence[str] = (),
        config_source: Any = None,
        namespace: str | None = None,
        set_as_current: bool = True,
        task_cls: type[Any] | None = None,
        **settings: Any,
    ) -> None:
        raise NotImplementedError

    @property
    def backend(self) -> ResultBackend:
        """The result backend of this process, opened on first use."""
        raise NotImplementedError

    def backend_for(self, url: str | None) -> ResultBackend:
        """The backend of a task's own URL, opened once per process; the application's for ``None``."""
        raise NotImplementedError

    @property
    def broker_url(self) -> str:
        """The (first) broker URL, the embedded default resolved."""
        raise NotImplementedError

    @property
    def backend_url(self) -> str:
        """The result backend's URL, the default resolved."""
        raise NotImplementedError

    def open_transport(self, timeout_s: float | None = None) -> Transport:
        """Return a new, open transport; the caller closes it."""
        raise NotImplementedError

    def finalize(self) -> None:
        """Register shared and built-in tasks, once."""
        raise NotImplementedError

    def import_modules(self) -> None:
        """Import ``imports`` and ``include`` and what ``autodiscover_tasks`` asked for, once."""
        raise NotImplementedError

    def after_fork(self) -> None:
        """Forget connections inherited from the parent process, without closing them."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what this process opened."""
        raise NotImplementedError

    def send_publications(self, publications: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Send."""
        raise NotImplementedError
