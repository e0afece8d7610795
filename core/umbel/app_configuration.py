"""The configuration side of an application: where its settings come from, and its clock."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from umbel.calling.times import zone
from umbel.current import Application
from umbel.settings import Configuration, Layer
from umbel.settings.plugin_sections import PluginSections

__all__ = ["ConfiguredApplication"]


class ConfiguredApplication(Application):
    """An application's settings: files and environment are read when it is made, the rest when it is given."""

    configuration_class: type[Configuration] = Configuration

    def __init__(
        self, broker: str | Sequence[str] | None, backend: str | None, include: Sequence[str], settings: dict[str, Any]
    ) -> None:
        self.conf = conf = self.configuration_class()
        conf.use_plugins(PluginSections(_HostOnDemand(self)))
        conf.load_files(os.getcwd())
        conf.load_environment()
        if broker is not None:
            settings["broker_url"] = broker if isinstance(broker, str) else ";".join(broker)
        if backend is not None:
            settings["result_backend"] = backend
        if include:
            settings["include"] = tuple(include)
        if settings:
            conf.from_mapping(settings, layer=Layer.APPLICATION)

    def config_from_object(
        self, obj: Any, silent: bool = False, namespace: str | None = None, force: bool = False
    ) -> bool:
        """Take the settings of a module, class or object, or of what a dotted name means (B405)."""
        return self.conf.from_object(obj, namespace, silent=silent)

    def config_from_envvar(
        self, variable_name: str, silent: bool = False, namespace: str | None = None, force: bool = False
    ) -> bool:
        """Take the settings of the module that an environment variable names (B406)."""
        return self.conf.from_envvar(variable_name, silent=silent, namespace=namespace)

    def add_defaults(self, fun: Callable[[], Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Take settings that stand below every other source."""
        self.conf.add_defaults(fun)

    def setup_security(
        self,
        allowed_serializers: Iterable[str] | None = None,
        key: str | None = None,
        key_password: bytes | str | None = None,
        cert: str | None = None,
        store: str | None = None,
        digest: str | None = None,
        serializer: str = "json",
    ) -> None:
        """Sign what is sent, and read only what a trusted certificate has signed, in the form of Celery's serializer ``auth``.

        *key*, *cert* (PEM files), *store* (a folder or pattern of trusted certificates), *key_password* and *digest*
        stand in for the settings ``security_key`` and so on. *serializer* writes what is signed; those of
        *allowed_serializers* are read too. Call it where the application is made. Raises
        :class:`~umbel.exceptions.ImproperlyConfigured` unless ``task_serializer`` and ``accept_content`` are ``auth``,
        :class:`~umbel.exceptions.SecurityError` for keys that do not fit or have expired.
        """
        from umbel.security import setup_security  # for start-up: few applications sign

        setup_security(cast("Any", self), allowed_serializers, key, key_password, cert, store, digest, serializer)

    @property
    def timezone(self) -> dt.tzinfo:
        """The zone of schedules and times."""
        return zone(self.conf.timezone)

    @property
    def naive_zone(self) -> dt.tzinfo:
        """The zone in which times without one are read."""
        return dt.UTC if self.conf.enable_utc else self.timezone

    def now(self) -> dt.datetime:
        """Return the time, in the application's zone."""
        return dt.datetime.now(self.timezone)


class _HostOnDemand:
    """Asks the application's host, which is made when it is asked for the first time."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def installed(self, kind: str) -> Sequence[Any]:
        installed: Sequence[Any] = self._app.host.installed(kind)
        return installed

    def load(self, kind: str, name: str) -> Any:
        return self._app.host.load(kind, name)
