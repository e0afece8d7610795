"""Loads plugins and calls their hooks: the only file that knows pluggy's manager and stevedore.

What is wrong with a plugin is said here, when it is loaded, in one sentence with the cure: a driver that is missing, an
API of another version, a module that fails, a hook misspelt or with arguments it does not get.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import pluggy

from umbel import hookspecs
from umbel.exceptions import PluginError, UmbelError
from umbel.host.discovery import InstalledPlugin
from umbel.model import API_VERSION, PluginInfo
from umbel.signals import SIGNALS
from umbel.suggestions import suggest

__all__ = ["LoadedPlugin", "Loader"]

#: Kind -> the hooks of which a plugin must implement at least one.
_HOOKS: Final[dict[str, tuple[str, ...]]] = {
    "transport": ("umbel_transport",),
    "backend": ("umbel_backend",),
    "pool": ("umbel_pool",),
    "serializer": ("umbel_serializers", "umbel_compressors"),
    "router": ("umbel_route",),
    "scheduler": ("umbel_scheduler",),
    "extension": (),
}
_EXTRA: Final = re.compile(r"""^\s*(?P<name>[\w.-]+).*extra\s*==\s*['"](?P<extra>[\w.-]+)['"]""")


@attrs.frozen(eq=False)
class LoadedPlugin:
    """An imported and checked plugin."""

    installed: InstalledPlugin
    info: PluginInfo
    module: Any

    def __str__(self) -> str:
        return str(self.installed)


class Loader:
    """The loaded plugins of one host. Thread-safe; a plugin is imported once."""

    def __init__(self) -> None:
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._hooks.add_hookspecs(hookspecs)
        self._loaded: dict[InstalledPlugin, LoadedPlugin] = {}
        self._lock = threading.RLock()

    @property
    def loaded(self) -> tuple[LoadedPlugin, ...]:
        """What was loaded so far, in that order; two names of one module are one plugin each."""
        return tuple(self._loaded.values())

    def load(self, installed: InstalledPlugin) -> LoadedPlugin:
        """Import *installed*, check it and connect its observers; nothing happens when that was done before.

        Raises :class:`~umbel.exceptions.PluginError` that says what is wrong, and what to do.
        """
        with self._lock:
            if installed not in self._loaded:
                module = _import(installed)
                info = _checked_info(installed, module)
                if not self._hooks.is_registered(module):
                    self._register(installed, module)
                self._loaded[installed] = LoadedPlugin(installed, info, module)
            return self._loaded[installed]

    def call(self, plugin: LoadedPlugin, hook: str, **arguments: Any) -> Any:
        """Call the implementation of *hook* of *plugin*, through the wrappers of extensions, and return its answer.

        Any error but our own becomes a :class:`~umbel.exceptions.PluginError` that names the plugin.
        """
        others = [
            other.module
            for other in self.loaded
            if other.module is not plugin.module and other.info.kind != "extension"
        ]
        with _blamed(plugin, hook):
            return self._hooks.subset_hook_caller(hook, others)(**arguments)

    def answers(self, hook: str, **arguments: Any) -> Iterator[tuple[LoadedPlugin, Any]]:
        """Yield (plugin, answer) of each loaded implementation of *hook*; errors as in :meth:`call`."""
        for plugin, function in self.implementations(hook):
            with _blamed(plugin, hook):
                answer = function(**arguments)
            yield plugin, answer

    def implementations(self, hook: str) -> Iterator[tuple[LoadedPlugin, Callable[..., Any]]]:
        """Yield (plugin, function) for each loaded implementation of *hook*, in the order they are called.

        The functions take all arguments of the hook by name.
        """
        by_module = {id(plugin.module): plugin for plugin in self.loaded}
        for implementation in reversed(getattr(self._hooks.hook, hook).get_hookimpls()):
            if not (implementation.wrapper or implementation.hookwrapper):
                yield by_module[id(implementation.plugin)], _by_name(implementation)

    def _register(self, installed: InstalledPlugin, module: Any) -> None:
        try:
            self._hooks.register(module, name=installed.module)
        except pluggy.PluginValidationError as error:
            raise PluginError(f"{installed} does not fit its hooks: {error}") from error
        try:
            self._check_hooks(installed, module)
        except PluginError:
            self._hooks.unregister(module)
            raise
        for name in sorted(self._hook_names(module)):
            if name.removeprefix("umbel_") in SIGNALS:
                self._observe(installed, module, name)

    def _check_hooks(self, installed: InstalledPlugin, module: Any) -> None:
        known = [name for name in vars(hookspecs) if name.startswith("umbel_")]
        names = self._hook_names(module)
        for name in sorted(names.difference(known)):
            raise PluginError(f"{installed} implements {name}, which is no hook of Umbel{suggest(name, known)}")
        needed = _HOOKS[installed.kind]
        if needed and names.isdisjoint(needed):
            raise PluginError(
                f"{installed} must implement {' or '.join(needed)}, marked with @umbel.hookspecs.hookimpl; it implements "
                f"{', '.join(sorted(names)) or 'no hook'}"
            )

    def _hook_names(self, module: Any) -> set[str]:
        return {caller.name for caller in self._hooks.get_hookcallers(module) or ()}

    def _observe(self, installed: InstalledPlugin, module: Any, hook: str) -> None:
        for implementation in getattr(self._hooks.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            if implementation.wrapper or implementation.hookwrapper:
                raise PluginError(f"{installed} wraps {hook}, which is told and not asked; drop wrapper=True")
            signal = SIGNALS[hook.removeprefix("umbel_")]
            observer = _observer(implementation)
            signal.connect(observer, weak=False, dispatch_uid=("plugin", installed.module, hook))


@contextlib.contextmanager
def _blamed(plugin: LoadedPlugin, hook: str) -> Iterator[None]:
    try:
        yield
    except UmbelError:
        raise
    except Exception as error:
        raise PluginError(f"{plugin} failed in {hook}: {type(error).__name__}: {error}") from error


def _observer(implementation: Any) -> Callable[..., Any]:
    function, names = implementation.function, implementation.argnames

    def observe(**told: Any) -> Any:
        return function(*[told.get(name) for name in names])

    observe.__module__ = getattr(function, "__module__", "?")
    observe.__qualname__ = getattr(function, "__qualname__", "?")
    return observe


def _by_name(implementation: Any) -> Callable[..., Any]:
    function, names = implementation.function, implementation.argnames
    if tuple(names) == ("app", "query"):  # routers are asked for every call that is sent: no list in between
        direct: Callable[..., Any] = function
        return direct

    def call(**arguments: Any) -> Any:
        return function(*[arguments[name] for name in names])

    return call


def _import(installed: InstalledPlugin) -> Any:
    try:
        return _driver(installed.entry_point)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing and missing not in ("umbel", installed.module.partition(".")[0]):
            raise PluginError(_missing_driver(installed, missing, _extra_of(installed, missing))) from error
        raise PluginError(_broken(installed, error)) from error
    except (Exception, SystemExit) as error:
        raise PluginError(_broken(installed, error)) from error


def _driver(entry_point: importlib.metadata.EntryPoint) -> Any:
    # Imported here for the sake of start-up: a process that calls no task loads no plugin.
    from stevedore.driver import DriverManager

    class ChosenDriver(DriverManager):  # type: ignore[misc, type-arg, unused-ignore]
        """Loads the entry point that was chosen.

        stevedore's own list comes from a cache on disk whose keys are modification times as 32-bit floats: for two
        minutes after ``pip install -e .`` it may answer with the entry points of before.
        """

        def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
            return [entry_point]

    return ChosenDriver(entry_point.group, entry_point.name).driver


def _checked_info(installed: InstalledPlugin, module: Any) -> PluginInfo:
    info = getattr(module, "plugin_info", None)
    if not isinstance(info, PluginInfo):
        raise PluginError(
            f"{installed}: expected {installed.module}.plugin_info to be an umbel.model.PluginInfo, got {info!r}"
        )
    if info.kind != installed.kind:
        raise PluginError(f"{installed} says of itself that it is a {info.kind}; correct its entry-point group")
    if not info.api_min <= API_VERSION <= info.api_max:
        raise PluginError(
            f"{installed} is written for the plugin API {info.api_min} to {info.api_max}, and this Umbel speaks "
            f"{API_VERSION}; install a release of {installed.distribution} that fits"
        )
    for driver in info.requires:
        # A module that is imported already is there; some (kombu) take their place in a way that find_spec refuses.
        if driver not in sys.modules and importlib.util.find_spec(driver) is None:
            raise PluginError(_missing_driver(installed, driver, info.extra))
    return info


def _missing_driver(installed: InstalledPlugin, module: str, extra: str | None) -> str:
    cure = f"'{installed.distribution}[{extra}]'" if extra else module
    return f"{installed} needs the module {module!r}, which is not installed; pip install {cure}"


def _extra_of(installed: InstalledPlugin, module: str) -> str | None:
    """Return the extra that installs *module*: the one of its name, or the one whose requirement has its name."""
    source = installed.entry_point.dist
    requirements = (source.requires or ()) if source else ()
    extras = {found["extra"]: found["name"] for found in map(_EXTRA.match, requirements) if found}
    if module in extras:
        return module
    return next((extra for extra, name in extras.items() if name.replace("-", "_").lower() == module.lower()), None)


def _broken(installed: InstalledPlugin, error: BaseException) -> str:
    return f"{installed} fails when it is imported: {type(error).__name__}: {error}"
