"""The configuration of a Celery application: read when a setting is first asked for, as Celery does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from umbel import Umbel
from umbel.settings import Configuration
from umbel_extension_celery.configuration import CeleryConfiguration

__all__ = ["LazilyConfigured"]


class LazilyConfigured(Umbel):
    """An application whose sources are read late, so that a module it names may import the module that makes it."""

    configuration_class: type[Configuration] = CeleryConfiguration
    _pending: list[Callable[[Configuration], Any]]
    _conf: Configuration

    @property
    def conf(self) -> Any:
        """The settings; what :meth:`config_from_object` named is read now, if it was not before."""
        while self._pending:
            self._pending.pop(0)(self._conf)
        return self._conf

    @conf.setter
    def conf(self, value: Configuration) -> None:
        self._conf = value

    @property
    def configured(self) -> bool:
        """Whether every source was read."""
        return not self._pending

    def config_from_object(
        self, obj: Any, silent: bool = False, namespace: str | None = None, force: bool = False
    ) -> bool:
        """Take the settings of *obj* when a setting is first asked for; with *force*, now."""
        self._pending.append(lambda conf: conf.from_object(obj, namespace, silent=silent))
        return bool(self.conf) if force else True

    def config_from_envvar(
        self, variable_name: str, silent: bool = False, namespace: str | None = None, force: bool = False
    ) -> bool:
        """Take the settings of the module that an environment variable names."""
        if silent and not os.environ.get(variable_name):
            return False
        return super().config_from_envvar(variable_name, silent, namespace)

    def config_from_cmdline(self, argv: Sequence[str], namespace: str = "celery") -> None:
        """Take settings written as ``name=value``, with or without *namespace* in front."""
        for argument in argv:
            name, _, value = argument.partition("=")
            name = name.lstrip("-").replace(".", "_")
            self.conf[name if name in self.conf else f"{namespace}_{name}"] = value

    def add_defaults(self, fun: Callable[[], Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Take settings that stand below every other source; a function is asked when a setting is first needed."""
        if callable(fun):
            self._pending.append(lambda conf: conf.add_defaults(fun))
        else:
            self._conf.add_defaults(fun)
