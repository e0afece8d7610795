"""The queues that an application knows: those of ``task_queues``, the default one, and those made when first named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.bindings import binding_matches
from umbel.exceptions import ImproperlyConfigured, QueueNotFound
from umbel.model import Exchange, Queue
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.settings import Configuration

__all__ = ["Queues"]

#: Options of a queue in ``task_queues`` -> field of the model; the old names beside today's.
_FIELDS: Final = {
    "durable": "durable",
    "exclusive": "exclusive",
    "auto_delete": "auto_delete",
    "no_ack": "no_ack",
    "alias": "alias",
    "expires": "expires_s",
    "expires_s": "expires_s",
    "message_ttl": "message_ttl_s",
    "message_ttl_s": "message_ttl_s",
    "max_length": "max_length",
    "max_priority": "max_priority",
    "queue_arguments": "queue_arguments",
    "binding_arguments": "binding_arguments",
    "consumer_arguments": "consumer_arguments",
}
_OTHER_OPTIONS: Final = ("name", "exchange", "exchange_type", "routing_key", "binding_key", "bindings")


class Queues(Mapping[str, Queue]):
    """The known queues by the names that users write; ``queue_name_prefix`` stands only in ``Queue.name``.

    Reading is thread-safe. A queue that is named for the first time is added where ``task_create_missing_queues`` is on.
    """

    def __init__(self, conf: Configuration, queues: object = None) -> None:
        self._conf = conf
        self._queues: dict[str, Queue] = {}
        self._selected: list[str] | None = None
        self.default_name: str = conf.task_default_queue
        for queue in self._configured(conf.task_queues if queues is None else queues):
            self._keep(queue)
        if self.default_name not in self._queues and not self._queues:
            self._keep(self._make(self.default_name, self._default_options()))

    # -- reading --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Queue:
        return self._queues[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queues)

    def __len__(self) -> int:
        return len(self._queues)

    def find(self, name: str) -> Queue:
        """Return the queue *name*, made now when it is missing and may be made.

        Raises :class:`~umbel.exceptions.QueueNotFound` where ``task_create_missing_queues`` is off.
        """
        queue = self._queues.get(name)
        if queue is not None:
            return queue
        if not self._conf.task_create_missing_queues:
            raise QueueNotFound(
                f"queue {name!r}: not in task_queues, and task_create_missing_queues is off{suggest(name, self._queues)}"
            )
        return self._keep(self._make_plain(name))

    def bound_to(self, exchange: str, routing_key: str) -> Queue | None:
        """Return the first known queue that a message for (*exchange*, *routing_key*) reaches."""
        for queue in tuple(self._queues.values()):
            for bound, key in ((queue.exchange, queue.routing_key), *queue.bindings):
                if bound.name == exchange and binding_matches(bound.kind, key, routing_key):
                    return queue
        return None

    @property
    def default(self) -> Queue:
        """The queue of tasks that nothing routes."""
        return self.find(self.default_name)

    @property
    def consume_from(self) -> dict[str, Queue]:
        """What a worker of this process consumes: the selected queues, else all that are known (B519)."""
        names = list(self._queues) if self._selected is None else self._selected
        return {name: self._queues[name] for name in names if name in self._queues}

    # -- changing -------------------------------------------------------------------------------------------------

    def add(self, queue: Queue | str, **options: Any) -> Queue:
        """Make a queue known, from the model or from a name and the options of ``task_queues``; return it."""
        made = queue if isinstance(queue, Queue) else self._make(queue, options)
        return self._keep(made)

    def select(self, names: Iterable[str]) -> None:
        """Consume from *names* only (``-Q``); the other queues stay known for sending (B1082)."""
        wanted = list(dict.fromkeys(_listed(names)))
        for name in wanted:
            self.find(name)
        self._selected = wanted

    def select_add(self, name: str, **options: Any) -> Queue:
        """Consume from the queue *name* too, made with *options* when it is not known."""
        queue = self.add(name, **options) if options and name not in self._queues else self.find(name)
        if self._selected is not None and name not in self._selected:
            self._selected.append(name)
        return queue

    def exclude(self, names: Iterable[str]) -> None:
        """Consume from everything but *names* (``-X``); unknown names are passed over."""
        unwanted = set(_listed(names))
        self._selected = [name for name in self.consume_from if name not in unwanted]

    deselect = exclude

    # -- making ---------------------------------------------------------------------------------------------------

    def _keep(self, queue: Queue) -> Queue:
        return self._queues.setdefault(queue.alias or queue.name, queue)

    def _configured(self, queues: object) -> Iterator[Queue]:
        if queues is None:
            return
        if isinstance(queues, Mapping):
            for name, options in queues.items():
                yield options if isinstance(options, Queue) else self._make(name, options or {})
            return
        if isinstance(queues, str) or not isinstance(queues, Iterable):
            raise ImproperlyConfigured(
                f"task_queues: expected a dict of name -> options or a list of queues, got {queues!r}"
            )
        for queue in queues:
            yield self._from_item(queue)

    def _from_item(self, item: object) -> Queue:
        if isinstance(item, Queue):
            return item
        if isinstance(item, str):
            return self._make_plain(item)
        if isinstance(item, Mapping) and "name" in item:
            return self._make(item["name"], item)
        name = getattr(item, "name", None)
        if isinstance(name, str):  # a kombu Queue, or what looks like one
            return self._make(name, _attributes(item))
        raise ImproperlyConfigured(
            f"task_queues: expected an umbel.model.Queue, a name or a dict with 'name', got {item!r}"
        )

    def _make(self, name: str, options: Mapping[str, Any]) -> Queue:
        for option in options:
            if option not in _FIELDS and option not in _OTHER_OPTIONS:
                known = (*_FIELDS, *_OTHER_OPTIONS)
                raise ImproperlyConfigured(
                    f"task_queues: queue {name!r}: unknown option {option!r}{suggest(option, known)}"
                )
        prefix: str = self._conf.queue_name_prefix
        physical = f"{prefix}{name}"
        exchange = self._exchange(options, physical)
        key = options.get("routing_key") or options.get("binding_key")
        if key is None:
            key = physical if exchange.name == physical else self._conf.task_default_routing_key or physical
        fields = {field: options[option] for option, field in _FIELDS.items() if options.get(option) is not None}
        fields.setdefault("max_priority", self._conf.task_queue_max_priority)
        fields["queue_arguments"] = self._arguments(name, fields.get("queue_arguments"))
        if prefix:
            fields["alias"] = name
        bindings = tuple(_binding(binding) for binding in options.get("bindings") or ())
        return Queue(name=physical, exchange=exchange, routing_key=key, bindings=bindings, **fields)

    def _exchange(self, options: Mapping[str, Any], physical: str) -> Exchange:
        exchange = options.get("exchange")
        if isinstance(exchange, Exchange):
            return exchange
        kind = options.get("exchange_type") or self._conf.task_default_exchange_type
        if exchange is None:
            return Exchange(name=self._conf.task_default_exchange or physical, kind=kind)
        if isinstance(exchange, str):
            return Exchange(name=exchange, kind=kind)
        return Exchange(  # a kombu Exchange, or what looks like one
            name=exchange.name, kind=exchange.type or kind, durable=getattr(exchange, "durable", True)
        )

    def _arguments(self, name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        conf = self._conf
        kind = conf.task_default_queue_type if name == self.default_name else conf.task_create_missing_queue_type
        return {**({"x-queue-type": kind} if kind not in {None, "classic"} else {}), **(given or {})}

    def _default_options(self) -> dict[str, Any]:
        conf = self._conf
        return {"exchange": conf.task_default_exchange, "routing_key": conf.task_default_routing_key}

    def _make_plain(self, name: str) -> Queue:
        """Make a queue that is reached by its own name (A355), whatever the default exchange is."""
        kind = self._conf.task_create_missing_queue_exchange_type or "direct"
        return self._make(name, {"exchange": Exchange(name=f"{self._conf.queue_name_prefix}{name}", kind=kind)})


def _listed(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)


def _binding(binding: object) -> tuple[Exchange, str]:
    if isinstance(binding, tuple):
        exchange, key = binding
    else:  # a kombu binding
        exchange, key = binding.exchange, binding.routing_key  # type: ignore[attr-defined]
    if isinstance(exchange, Exchange):
        return exchange, key
    return Exchange(name=exchange if isinstance(exchange, str) else exchange.name), key


def _attributes(item: object) -> dict[str, Any]:
    names = (*_FIELDS, "exchange", "routing_key")
    found = {name: getattr(item, name, None) for name in names if getattr(item, name, None) not in {None, ""}}
    found.pop("alias", None)
    return found
