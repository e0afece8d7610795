"""The configuration of a Celery project: Celery's defaults, and room for names that Umbel does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from umbel.settings import OPTIONS, SAME, Configuration

__all__ = ["CeleryConfiguration", "celery_defaults"]

#: Settings whose default in Celery names a class of Celery's own: Umbel's part stands there by itself.
_OUR_PARTS: Final = frozenset({"worker_autoscaler", "worker_consumer"})
#: Where Celery looks for a broker when none is configured.
_CELERYS_BROKER: Final = "amqp://guest:guest@localhost:5672//"


def celery_defaults() -> dict[str, Any]:
    """Return the settings whose defaults differ in Celery, with Celery's value."""
    found = {
        # Unset means no in Celery; Umbel's own default may be yes.
        name: bool(option.celery_default) if isinstance(option.default, bool) else option.celery_default
        for name, option in OPTIONS.items()
        if option.celery_default is not SAME and name not in _OUR_PARTS
    }
    return {**found, "broker_url": _CELERYS_BROKER}


class CeleryConfiguration(Configuration):
    """``app.conf`` of a :class:`~umbel_extension_celery.application.Celery` application.

    A name that is no setting is kept, and can be read back as an attribute; one that looks like a misspelt setting is
    warned about.
    """

    __slots__ = ()

    refuses_unknown: ClassVar[bool] = False

    if not TYPE_CHECKING:  # a checker that sees it takes any attribute

        def __getattr__(self, name: str) -> Any:
            # Only for what is no slot: settings of Umbel's are read without coming here.
            if not name.startswith("_"):
                entry = self._entry(name)
                if entry is not None:
                    return entry.value
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def namespace(self) -> str | None:
        """Celery's name for a prefix; it was taken off when the configuration was read."""
        return None

    def find_option(self, name: str, namespace: str = "") -> tuple[str, str, Any]:
        """Return (namespace, key, option) of the setting that *name* means; ``KeyError`` for none."""
        for candidate in (f"{namespace}_{name}" if namespace else name, name):
            if candidate in OPTIONS:
                group, _, key = candidate.partition("_")
                return group, key, OPTIONS[candidate]
        raise KeyError(name)

    def find_value_for_key(self, name: str, namespace: str = "celery") -> Any:
        """Return the value of ``<namespace>_<name>``, or of *name*."""
        key = f"{namespace}_{name}"
        return self[key] if key in self else self[name]

    def first(self, *keys: str) -> Any:
        """Return the first value of *keys* that is not ``None``; ``None`` where all are, or are unknown."""
        return next((value for value in map(self.get, keys) if value is not None), None)

    def value_set_for(self, key: str) -> bool:
        """Say whether a source has set *key*."""
        return key in self.changes()

    def finalize(self) -> None:
        """Nothing is left to do: settings hold as soon as they are given."""

    def without_defaults(self) -> dict[str, Any]:
        """Return what was set by any source."""
        return self.changes()

    def clear(self) -> None:
        """Undo all assignments."""
        for name in [name for name in self if self.origin(name).layer.name == "ASSIGNED"]:
            del self[name]
