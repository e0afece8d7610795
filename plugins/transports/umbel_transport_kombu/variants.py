"""What each of kombu's transports can do: data, read from its code and, where the tests have the broker, proved."""

from __future__ import annotations

import importlib.util
from typing import Final

import attrs

from umbel.exceptions import ImproperlyConfigured
from umbel.spi import TransportCapabilities

__all__ = ["NAMES", "Variant", "variant_of"]


@attrs.frozen(kw_only=True)
class Variant:
    """One of kombu's transports.

    *alias* is kombu's name of it, or ``module:Class``; *cure* installs its driver. A *url* without ``kombu+`` is what
    kombu is given.
    """

    alias: str
    cure: str
    capabilities: TransportCapabilities


def _can(*names: str, kinds: str = "direct", priority_levels: int = 10) -> TransportCapabilities:
    declared = dict.fromkeys(names, True)
    return TransportCapabilities(exchange_kinds=frozenset(kinds.split()), priority_levels=priority_levels, **declared)


#: A message is off the store once it was handed out: who dies with it takes it along, so there is no lease anywhere
#: but at a broker that keeps it (``visibility_timeout``), which is too slow to be called one.
_SHARED: Final = ("durable", "many_processes")
_COUNTED: Final = (*_SHARED, "counts_deliveries")
_BROADCASTS: Final = ("fanout", "keeps_broadcasts")
_LEAST: Final = _can()

_CAPABILITIES: Final = {
    "memory": _can(*_BROADCASTS, "counts_deliveries", kinds="direct topic fanout"),
    "filesystem": _can(*_COUNTED, *_BROADCASTS, kinds="direct topic fanout"),
    "sqlalchemy": _can(*_COUNTED),
    "sqs": _can(*_SHARED),
    # Not under test: no more than their code certainly does.
    "mongodb": _can(*_SHARED, "priorities"),
    "zookeeper": _can(*_SHARED, "priorities"),
    **dict.fromkeys(("librabbitmq", "qpid", "gcpubsub", "azureservicebus", "azurestoragequeues"), _can(*_SHARED)),
    **dict.fromkeys(("confluentkafka", "pgmq", "consul", "etcd", "slmq"), _can(*_SHARED)),
    "pyro": _can("many_processes"),
}
_SAME: Final = {"sqla": "sqlalchemy", "kafka": "confluentkafka", "SQS": "sqs", "SLMQ": "slmq"}
_CURES: Final = {
    "memory": "kombu",
    "filesystem": "kombu",
    "sqlalchemy": "umbel[sqlalchemy]",
    "sqs": "umbel[sqs]",
    "etcd": "python-etcd",
    "pyro": "pyro4",
}

#: The URL schemes that the plugin answers to.
NAMES: Final = (
    "kombu",
    "kombu+",
    "kombu+memory",
    "kombu+filesystem",
    *(name for name in _CAPABILITIES if name not in ("memory", "filesystem")),
    *_SAME,
    "sqlalchemy+",
    "sqla+",
)


def variant_of(url: str, transport: str | None) -> tuple[Variant, str]:
    """Return which transport *url* means, and the URL as kombu reads it; *transport* is the setting for ``kombu://``.

    ``kombu+SCHEME://`` is kombu's ``SCHEME``, ``kombu+package.module.Class://`` a transport of somebody else.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = url.rstrip(":/"), ""
    plain = scheme.removeprefix("kombu+")
    if plain == "kombu":
        if not transport:
            raise ImproperlyConfigured(
                "kombu:// needs the class of its transport: set [kombu] transport = 'package.module:Class', or write "
                "kombu+package.module.Class://"
            )
        return _foreign(transport), f"kombu://{rest}"
    first, plus, driver = plain.partition("+")
    name = _SAME.get(first, first)
    if name in _CAPABILITIES:
        if plus and name == "sqlalchemy" and driver == "postgresql":
            driver += _postgresql_driver()
        return _variant(name), f"{first}{plus}{driver}://{rest}"
    if "." in first:
        module, _, attribute = first.rpartition(".")
        return _foreign(f"{module}:{attribute}"), f"kombu://{rest}"
    # Redis and AMQP through kombu, or what a newer kombu has: nothing is known of it, so nothing is promised.
    return Variant(alias=first, cure=f"kombu[{first}]", capabilities=_LEAST), f"{plain}://{rest}"


def _variant(name: str) -> Variant:
    return Variant(alias=name, cure=_CURES.get(name, f"kombu[{name}]"), capabilities=_CAPABILITIES[name])


def _foreign(transport: str) -> Variant:
    return Variant(alias=transport, cure=transport.partition(":")[0], capabilities=_LEAST)


def _postgresql_driver() -> str:
    """Return ``+psycopg`` where SQLAlchemy's own choice, psycopg2, is not installed and its successor is."""
    has = importlib.util.find_spec
    return "+psycopg" if has("psycopg2") is None and has("psycopg") is not None else ""
