"""One typed method for each hook, which checks what came back."""

# The contracts are abstract classes, which mypy does not take for a ``type[T]`` although isinstance() does.
# mypy: disable-error-code="type-abstract"

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from umbel.exceptions import PluginError, PluginNotFound
from umbel.host.discovery import Discovery, InstalledPlugin
from umbel.host.loading import LoadedPlugin, Loader
from umbel.host.serializers import SerializerShelf
from umbel.model import Route, RouteQuery
from umbel.spi import (
    Committer,
    Compressor,
    Pool,
    PoolCapabilities,
    PoolOptions,
    ResultBackend,
    Scheduler,
    Serializer,
    Transport,
)

if TYPE_CHECKING:
    import click

__all__ = ["Host"]

_Answer = TypeVar("_Answer")


class Host:
    """The plugins as the kernel sees them: found by metadata, loaded by name, each hook a method with types.

    A name may be ``name@distribution`` to choose among distributions; in a URL that is its scheme. Thread-safe. Every
    method that loads raises :class:`~umbel.exceptions.PluginNotFound`, :class:`~umbel.exceptions.PluginConflict` or
    :class:`~umbel.exceptions.PluginError`, with the cure in the text.
    """

    def __init__(self) -> None:
        self._discovery = Discovery()
        self._loader = Loader()
        self._shelf = SerializerShelf(self._discovery, self._loader)

    # -- finding and loading --------------------------------------------------------------------------------------

    def installed(self, kind: str) -> Sequence[InstalledPlugin]:
        """Return the installed plugins of *kind*, sorted by name. Imports nothing."""
        return self._discovery.installed(kind)

    def find(self, kind: str, name: str) -> InstalledPlugin:
        """Return the one plugin of *kind* that *name* means. Imports nothing."""
        return self._discovery.find(kind, name)

    def load(self, kind: str, name: str) -> LoadedPlugin:
        """Import and check the plugin *name* of *kind*, and connect its observers; a second call does nothing."""
        return self._loader.load(self._discovery.find(kind, name))

    def extensions(self, app: Any, names: Sequence[str] | None = None) -> Sequence[LoadedPlugin]:
        """Load the extensions *names*, or all that are installed, and return them."""
        return [self.load("extension", name) for name in self._names("extension", names)]

    # -- the parts ------------------------------------------------------------------------------------------------

    def transport(self, app: Any, url: str) -> Transport:
        """Return a new, unopened transport for *url*."""
        name, plain_url = _split_url(url)
        return self._make("transport", name, "umbel_transport", Transport, app=app, url=plain_url)

    def backend(self, app: Any, url: str) -> ResultBackend:
        """Return a new, unopened result backend for *url*."""
        name, plain_url = _split_url(url)
        return self._make("backend", name, "umbel_backend", ResultBackend, app=app, url=plain_url)

    def pool(self, app: Any, name: str, options: PoolOptions) -> Pool:
        """Return a new pool, not started."""
        return self._make("pool", name, "umbel_pool", Pool, app=app, options=options)

    def pool_capabilities(self, name: str) -> PoolCapabilities:
        """Return what the pool *name* can do, without making one."""
        plugin = self.load("pool", name)
        return _checked(plugin, "plugin_info.capabilities", plugin.info.capabilities, PoolCapabilities)

    def scheduler(self, app: Any, name: str, options: Mapping[str, Any]) -> Scheduler:
        """Return a new scheduler."""
        return self._make("scheduler", name, "umbel_scheduler", Scheduler, app=app, options=options)

    def committer(self, app: Any, transport: Transport, backend: ResultBackend) -> Committer | None:
        """Return the committer that a loaded plugin offers for these two; the first answer wins, mostly ``None``."""
        answers = self._loader.answers("umbel_committer", app=app, transport=transport, backend=backend)
        for plugin, answer in answers:
            if answer is not None:
                return _checked(plugin, "umbel_committer", answer, Committer)
        return None

    # -- serializers ----------------------------------------------------------------------------------------------

    def serializer(self, name: str) -> Serializer:
        """Return the serializer *name*."""
        return self._shelf.serializer(name)

    def serializer_for(self, content_type: str) -> Serializer | None:
        """Return the serializer of *content_type*, or ``None``. Loaded ones are tried before others are loaded."""
        return self._shelf.serializer_for(content_type)

    def compressor(self, name_or_content_type: str) -> Compressor:
        """Return the compressor of this name, alias or content type."""
        return self._shelf.compressor(name_or_content_type)

    # -- what several plugins answer ------------------------------------------------------------------------------

    def routers(
        self, app: Any, names: Sequence[str] | None = None
    ) -> Sequence[Callable[[Any, RouteQuery], Route | None]]:
        """Load the routers *names*, or all that are installed; return them in this order, extensions' before them.

        Each is called ``router(app, query)``; an answer that is neither ``None`` nor a ``Route`` is an error.
        """
        wanted = [self.load("router", name) for name in self._names("router", names)]
        modules = [id(plugin.module) for plugin in wanted]
        found = [
            (modules.index(id(plugin.module)) if id(plugin.module) in modules else -1, _router(plugin, function))
            for plugin, function in self._loader.implementations("umbel_route")
            if id(plugin.module) in modules or plugin.info.kind == "extension"
        ]
        return [router for _, router in sorted(found, key=lambda place: place[0])]

    def surroundings(self, app: Any, task: Any) -> Callable[[Any, Callable[[], bytes]], bytes] | None:
        """Return what a loaded plugin puts around the runs of *task*; the first answer wins, mostly ``None``."""
        for plugin, answer in self._loader.answers("umbel_surround_task", app=app, task=task):
            if answer is not None:
                if not callable(answer):
                    raise PluginError(f"{plugin}: expected umbel_surround_task to return a function, got {answer!r}")
                return cast("Callable[[Any, Callable[[], bytes]], bytes]", answer)
        return None

    def worker_steps(self, app: Any) -> Sequence[type[Any]]:
        """Return the worker steps of all loaded plugins."""
        return self._collect("umbel_worker_steps", type, app=app)

    def cli_commands(self) -> Sequence[click.Command]:
        """Return the commands of all loaded plugins."""
        import click

        return self._collect("umbel_cli_commands", click.Command)

    def monitor(self, app: Any, options: Mapping[str, Any]) -> int:
        """Run the monitor that a loaded plugin offers, until the user ends it; return the program's exit code."""
        for plugin, answer in self._loader.answers("umbel_monitor", app=app, options=options):
            if answer is not None:
                return _checked(plugin, "the answer of umbel_monitor", answer, int)
        raise PluginNotFound("no monitor is installed: pip install 'umbel[monitor]'; --dump shows events without one")

    # -- inner ----------------------------------------------------------------------------------------------------

    def _names(self, kind: str, names: Sequence[str] | None) -> Sequence[str]:
        if names is not None:
            return names
        # Two distributions of one name: ``load`` says so.
        return list(dict.fromkeys(plugin.name for plugin in self.installed(kind)))

    def _make(self, kind: str, name: str, hook: str, expected: type[_Answer], **arguments: Any) -> _Answer:
        plugin = self.load(kind, name)
        return _checked(plugin, hook, self._loader.call(plugin, hook, **arguments), expected)

    def _collect(self, hook: str, expected: type[_Answer], **arguments: Any) -> list[_Answer]:
        return [
            _checked(plugin, hook, answer, expected)
            for plugin, answers in self._loader.answers(hook, **arguments)
            for answer in answers
        ]


def _checked(plugin: LoadedPlugin, what: str, answer: Any, expected: type[_Answer]) -> _Answer:
    if not isinstance(answer, expected):
        raise PluginError(
            f"{plugin}: expected {what} to be a {expected.__module__}.{expected.__name__}, got {answer!r}"
        )
    return answer


def _router(plugin: LoadedPlugin, function: Callable[..., Any]) -> Callable[[Any, RouteQuery], Route | None]:
    def router(app: Any, query: RouteQuery) -> Route | None:
        answer = function(app=app, query=query)
        return None if answer is None else _checked(plugin, "the answer of umbel_route", answer, Route)

    return router


def _split_url(url: str) -> tuple[str, str]:
    """Return the plugin's name, perhaps with ``@distribution``, and the URL without that."""
    name, separator, rest = url.partition("://")
    if not separator:
        name, rest = url.rstrip(":/"), ""
    return name, f"{name.partition('@')[0]}://{rest}"
