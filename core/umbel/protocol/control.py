"""Control messages as data: requests to workers and their replies, the queues that carry them (``WIRE.md`` 7).

Pure functions both ways. What they read was written by others, so every field is checked.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.exceptions import InvalidControlMessage
from umbel.model import Exchange, Queue

__all__ = [
    "PEERS",
    "PID",
    "STORED",
    "ControlReply",
    "ControlRequest",
    "control_exchange",
    "decode_reply",
    "decode_request",
    "encode_request",
    "matches_pattern",
    "node_queue",
    "probe_queue",
    "reply_queue",
]

#: Headers of a reply that only Umbel writes: the nodes that its sender believes alive, and the sender's process.
PEERS: Final = "umbel-peers"
PID: Final = "umbel-pid"
#: Header of a request: what it revokes is written into the store already.
STORED: Final = "umbel-stored"

_MATCHERS: Final = ("glob", "pcre")


@attrs.frozen(kw_only=True)
class ControlRequest:
    """A command to workers. *reply_to* is (exchange, routing key), ``None`` when nobody waits for an answer.

    *destination*: the nodes it is for; empty with no *pattern*: all. *expires_at*: Unix seconds, 0 for never.
    """

    method: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    destination: Sequence[str] | None = None
    pattern: str | None = None
    matcher: str | None = None
    ticket: str | None = None
    reply_to: tuple[str, str] | None = None
    clock: int = 0
    expires_at: float = 0.0
    is_stored: bool = False

    def is_for(self, node: str) -> bool:
        """Say whether *node* is meant."""
        if self.destination:
            return node in self.destination
        if self.pattern is not None and self.matcher is not None:
            return matches_pattern(node, self.pattern, self.matcher)
        return True

    def has_expired(self, now: float | None = None) -> bool:
        """Say whether it is too late to obey."""
        return 0 < self.expires_at < (time.time() if now is None else now)


@attrs.frozen(kw_only=True)
class ControlReply:
    """What one node answered. *peers*: the nodes it believes alive, itself included, or ``None`` when it cannot tell."""

    body: Mapping[str, Any]
    ticket: str | None
    clock: int
    peers: frozenset[str] | None = None
    pid: int | None = None

    @property
    def node(self) -> str:
        """The name of the node that answered."""
        return next(iter(self.body))


def matches_pattern(node: str, pattern: str, matcher: str | None = None) -> bool:
    """Say whether *node* fits *pattern*, a shell's pattern (``glob``) or a regular expression (``pcre``).

    Raises :class:`~umbel.exceptions.InvalidControlMessage` for another *matcher*, and what is no expression.
    """
    if matcher in (None, "glob"):
        return fnmatch.fnmatchcase(node, pattern)
    if matcher != "pcre":
        raise InvalidControlMessage(f"expected the matcher to be one of {', '.join(_MATCHERS)}, got {matcher!r}")
    try:
        return re.match(pattern, node) is not None
    except re.error as error:
        raise InvalidControlMessage(f"expected a regular expression, got {pattern!r}: {error}") from error


# -- messages ---------------------------------------------------------------------------------------------------------


def encode_request(request: ControlRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the headers and the body of *request*."""
    body: dict[str, Any] = {
        "method": request.method,
        "arguments": dict(request.arguments),
        "destination": None if request.destination is None else list(request.destination),
        "pattern": request.pattern,
        "matcher": request.matcher,
    }
    if request.ticket is not None and request.reply_to is not None:
        exchange, routing_key = request.reply_to
        body["ticket"] = request.ticket
        body["reply_to"] = {"exchange": exchange, "routing_key": routing_key}
    headers: dict[str, Any] = {"clock": request.clock, "expires": request.expires_at}
    if request.is_stored:
        headers[STORED] = True
    return headers, body


def decode_request(headers: Mapping[str, Any], body: Any) -> ControlRequest:
    """Return what *headers* and *body* ask for. Raises :class:`~umbel.exceptions.InvalidControlMessage`."""
    fields = _mapping(body, "the body of a control message")
    arguments = fields.get("arguments")
    destination = fields.get("destination")
    if isinstance(destination, str):
        destination = [destination]
    reply_to = fields.get("reply_to")
    return ControlRequest(
        method=_text(fields.get("method"), "method"),
        arguments={} if arguments is None else _mapping(arguments, "arguments"),
        destination=None if destination is None else _texts(destination, "destination"),
        pattern=_optional_text(fields.get("pattern"), "pattern"),
        matcher=_optional_text(fields.get("matcher"), "matcher"),
        ticket=_optional_text(fields.get("ticket"), "ticket"),
        reply_to=None if not reply_to else _address(reply_to),
        clock=_number(headers.get("clock")),
        expires_at=_seconds(headers.get("expires")),
        is_stored=headers.get(STORED) is True,
    )


def decode_reply(headers: Mapping[str, Any], body: Any) -> ControlReply:
    """Return a node's answer. Raises :class:`~umbel.exceptions.InvalidControlMessage`."""
    fields = _mapping(body, "the body of a reply")
    if len(fields) != 1:
        raise InvalidControlMessage(f"expected a reply to be {{node: answer}}, got {len(fields)} entries")
    peers = headers.get(PEERS)
    pid = headers.get(PID)
    named = isinstance(peers, list) and all(isinstance(peer, str) for peer in peers)
    return ControlReply(
        body=fields,
        ticket=_optional_text(headers.get("ticket"), "ticket"),
        clock=_number(headers.get("clock")),
        peers=frozenset(peers) if named and isinstance(peers, list) else None,
        pid=pid if isinstance(pid, int) else None,
    )


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidControlMessage(f"expected {what} to be an object with names as keys, got {type(value).__name__}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidControlMessage(f"expected the {what} of a control message to be text, got {value!r:.100}")
    return value


def _optional_text(value: Any, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _texts(value: Any, what: str) -> list[str]:
    if not isinstance(value, list | tuple):
        raise InvalidControlMessage(f"expected the {what} of a control message to be a list, got {value!r:.100}")
    return [_text(each, what) for each in value]


def _address(value: Any) -> tuple[str, str]:
    fields = _mapping(value, "reply_to")
    return _text(fields.get("exchange"), "reply_to.exchange"), _text(fields.get("routing_key"), "reply_to.routing_key")


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


# -- queues -----------------------------------------------------------------------------------------------------------


def _mailbox(conf: Any) -> str:
    return f"{conf.queue_name_prefix}{conf.control_exchange}.pidbox"


def control_exchange(conf: Any) -> Exchange:
    """Return the exchange that commands go through; *conf* is the configuration."""
    return Exchange(name=_mailbox(conf), kind="fanout", durable=False)


def node_queue(conf: Any, node: str) -> Queue:
    """Return the queue in which *node* gets its commands."""
    return Queue(
        name=f"{node}.{_mailbox(conf)}",
        exchange=control_exchange(conf),
        routing_key="",
        durable=conf.control_queue_durable,
        exclusive=conf.control_queue_exclusive and not conf.control_queue_durable,
        auto_delete=not conf.control_queue_durable,
        no_ack=True,
        expires_s=conf.control_queue_expires,
        message_ttl_s=conf.control_queue_ttl,
    )


def reply_queue(conf: Any, address: str) -> Queue:
    """Return the queue in which the caller *address* (a fresh id) gets replies. It is not shared, so not exclusive.

    A queue that were exclusive could not be declared by one connection and consumed by another.
    """
    exchange = Exchange(name=f"reply.{_mailbox(conf)}", kind="direct", durable=False)
    return Queue(
        name=f"{address}.{exchange.name}",
        exchange=exchange,
        routing_key=address,
        durable=False,
        auto_delete=True,
        no_ack=True,
        expires_s=conf.control_queue_expires,
        message_ttl_s=conf.control_queue_ttl,
    )


def probe_queue(conf: Any) -> Queue:
    """Return a queue that is declared and deleted to make the exchange of commands, where no worker has made it yet."""
    return Queue(
        name=f"umbel.{_mailbox(conf)}",
        exchange=control_exchange(conf),
        routing_key="",
        durable=False,
        auto_delete=True,
        expires_s=conf.control_queue_expires,
        message_ttl_s=1.0,
    )
