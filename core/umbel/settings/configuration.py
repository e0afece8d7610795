"""The configuration of one application: ``app.conf``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from umbel.exceptions import ImproperlyConfigured
from umbel.settings.combinations import check_combinations
from umbel.settings.intake import Accepted, accept
from umbel.settings.layers import Layer, LayeredSettings
from umbel.settings.names import resolve
from umbel.settings.notices import calling_place
from umbel.settings.sections import SectionDirectory, build_section, check_sections
from umbel.settings.sources import (
    Given,
    find_files,
    load_object,
    read_environment,
    read_file,
    read_mapping,
    read_object,
)

__all__ = ["Configuration"]

_set_slot = object.__setattr__
T = TypeVar("T")


class Configuration(LayeredSettings):
    """Every setting as an attribute, typed, from several sources.

    Reading an attribute is reading a slot. Writing one checks the value and takes effect at once (B195), as do
    ``conf["name"] = value`` and :meth:`update`. Settings of plugins are had through :meth:`section`.

    Precedence, the strongest first: what the program's command line and the code assign (the later wins; the program
    applies its options after it has loaded the application); the environment; the arguments of ``Umbel(...)``; objects
    and modules (``config_from_object``); ``umbel.toml`` and ``[tool.umbel]``; :meth:`add_defaults`; Umbel's defaults.

    Reading is safe from any thread, and so is writing. Errors are :class:`~umbel.exceptions.ImproperlyConfigured`,
    with the place that the value stands in.
    """

    __slots__ = ("_classes", "_directory", "_lock", "_sections")

    #: Whether a name that is no setting is refused. A subclass for other people's configurations may keep it instead.
    refuses_unknown: ClassVar[bool] = True

    _classes: dict[str, list[type[Any]]]
    _directory: SectionDirectory | None
    _lock: threading.RLock
    _sections: dict[tuple[str, type[Any] | None], Any]

    def __init__(self, values: Mapping[str, Any] | None = None, /) -> None:
        super().__init__()
        _set_slot(self, "_classes", {})
        _set_slot(self, "_sections", {})
        _set_slot(self, "_directory", None)
        _set_slot(self, "_lock", threading.RLock())
        if values:
            self.from_mapping(values)

    # -- writing -------------------------------------------------------------------------------------------------------

    if not TYPE_CHECKING:  # a checker that sees it takes any attribute, and misspelt ones must be errors

        def __setattr__(self, name: str, value: Any) -> None:
            self._take([Given(name, value, calling_place())], Layer.ASSIGNED)

    def __setitem__(self, name: str, value: Any) -> None:
        self._take([Given(name, value, calling_place())], Layer.ASSIGNED)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __delitem__(self, name: str) -> None:
        """Undo the assignments of *name*: what the next source says holds again."""
        target = resolve(name)
        key = target.name if target is not None else name
        with self._lock:
            if self._layers[Layer.ASSIGNED].pop(key, None) is None:
                raise KeyError(
                    f"{name!r} was not assigned, so there is nothing to undo; it is from {self.origin(name)}"
                )
            self._settle([key])
            self._sections.clear()

    def update(self, values: Any = (), /, *, place: str | None = None, **more: Any) -> None:
        """Assign several settings at once: all of them, or none when one is refused.

        Settings that are checked against each other (the two time limits) are best changed together, here. *place*
        names the source in errors and in :meth:`origin` (``"the command line"``); it is the caller's line by itself.
        """
        mapping = {**dict(values), **more}
        self._take(read_mapping(mapping, place or calling_place()), Layer.ASSIGNED, together=True)

    def setdefault(self, name: str, value: Any) -> Any:
        """Assign *value* unless some source has set *name*; return what holds."""
        if self.origin(name).layer == Layer.DEFAULT:
            self[name] = value
        return self[name]

    def add_defaults(self, values: Mapping[str, Any] | Callable[[], Mapping[str, Any]], /) -> None:
        """Take *values* (a mapping, or a function that returns one) below every other source, above the defaults."""
        mapping = values if isinstance(values, Mapping) else values()
        given = read_mapping(mapping, f"add_defaults in {calling_place()}")
        self._take(given, Layer.GIVEN_DEFAULT)

    # -- sources -------------------------------------------------------------------------------------------------------

    def add_source(self, values: Mapping[str, Any], place: str, layer: Layer = Layer.FILE) -> None:
        """Take *values* from a source of the caller's own, called *place*, at the rank of *layer*."""
        self._take(read_mapping(values, place), layer)

    def from_mapping(self, values: Mapping[str, Any], *, place: str | None = None, layer: Layer = Layer.OBJECT) -> None:
        """Take *values*; every name must be known."""
        self._take(read_mapping(values, place or calling_place()), layer)

    def from_object(self, source: Any, namespace: str | None = None, *, silent: bool = False) -> bool:
        """Take the settings that are attributes of *source*: an object, a class, a module, or the name of one.

        A name is ``module``, ``module:attribute`` or ``module.Attribute``. With *namespace* (``"CELERY"``) only names
        that begin with it are read, without it: ``CELERY_TASK_ROUTES`` is ``task_routes``. A mapping is read whole. With
        *silent* a missing module is no error: the answer is then false (B405).
        """
        place = calling_place()
        if isinstance(source, str):
            try:
                source, place = load_object(source), source
            except ImproperlyConfigured:
                if silent:
                    return False
                raise
        if isinstance(source, Mapping) and not namespace:
            given = read_mapping(source, place)
        else:
            file = getattr(source, "__file__", None)
            given = read_object(source, str(file or place), namespace, strict=self.refuses_unknown)
        self._take(given, Layer.OBJECT)
        return True

    def from_envvar(self, variable: str, *, silent: bool = False, namespace: str | None = None) -> bool:
        """Take the module whose name the environment *variable* holds (B406)."""
        name = os.environ.get(variable)
        if name:
            return self.from_object(name, namespace, silent=silent)
        if silent:
            return False
        raise ImproperlyConfigured(
            f"the environment variable {variable!r} is not set; set it to the name of a configuration module"
        )

    def load_file(self, path: str | os.PathLike[str]) -> None:
        """Take an ``umbel.toml``, or the ``[tool.umbel]`` of a ``pyproject.toml``."""
        self._take(read_file(os.fspath(path)), Layer.FILE)

    def load_files(self, directory: str | os.PathLike[str] = ".") -> list[str]:
        """Take ``pyproject.toml`` and, over it, ``umbel.toml`` of *directory*; return the files that were there."""
        paths = find_files(os.path.abspath(directory))
        for path in paths:
            self.load_file(path)
        return paths

    def load_environment(self, environ: Mapping[str, str] | None = None) -> None:
        """Take the variables ``UMBEL_...`` (and Celery's own four) of *environ*, by itself the process's."""
        self._take(read_environment(os.environ if environ is None else environ), Layer.ENVIRONMENT)

    # -- plugins and checks --------------------------------------------------------------------------------------------

    def use_plugins(self, directory: SectionDirectory) -> None:
        """Learn from *directory* which sections there are and which classes describe them."""
        _set_slot(self, "_directory", directory)

    def register_section(self, name: str, settings: type[Any]) -> None:
        """Declare the attrs class of the section *name*; plugins of one name and several kinds share a section."""
        with self._lock:
            classes = self._classes.setdefault(name, [])
            if settings not in classes:
                classes.append(settings)
                self._sections.clear()

    @overload
    def section(self, name: str) -> Any: ...
    @overload
    def section(self, name: str, settings: type[T]) -> T: ...
    def section(self, name: str, settings: type[Any] | None = None) -> Any:
        """Return the settings of the plugin *name*: an instance of its attrs class, checked.

        *settings* is the class, where the plugin was not registered or shares its section. Without any class the
        answer is a plain mapping. The answer is kept until a setting of the section changes.
        """
        with self._lock:
            if settings is not None:
                self.register_section(name, settings)
            found = self._sections.get((name, settings))
            if found is None:
                found = build_section(name, settings, self._classes.get(name, ()), self._effective(), self._directory)
                self._sections[name, settings] = found
            return found

    def check(self) -> None:
        """Raise for settings that contradict each other, and for sections that no installed plugin has."""
        check_combinations(self, self.origin)
        if self._directory is not None:
            check_sections(self._effective(), self._directory, self._classes)

    @property
    def effective_broker_url(self) -> str | None:
        """``broker_url``, or one made of the old split settings (``broker_host`` ...), or ``None`` (A531)."""
        if self.broker_url or not (self.broker_transport or self.broker_host):
            return self.broker_url
        from umbel.urls import build_url  # for old configurations alone

        vhost = self.broker_vhost
        return build_url(
            self.broker_transport or "amqp",
            username=self.broker_user,
            password=self.broker_password,
            hostname=self.broker_host,
            port=self.broker_port,
            path=f"/{vhost}" if vhost else "",
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _take(self, given: Sequence[Given], layer: Layer, *, together: bool = False) -> None:
        """Check all of *given*, then let them hold at the rank of *layer*; with *together*, beside each other too."""
        accepted: Accepted = accept(given, layer, self._directory, self._classes, strict=self.refuses_unknown)
        with self._lock:
            rank = self._layers[layer]
            before = {key: rank.get(key) for key in accepted}
            rank.update(accepted)
            self._settle(accepted)
            self._sections.clear()
            if not together:
                return
            try:
                check_combinations(self, self.origin, accepted)
            except ImproperlyConfigured:
                for key, entry in before.items():
                    if entry is None:
                        del rank[key]
                    else:
                        rank[key] = entry
                self._settle(before)
                raise
