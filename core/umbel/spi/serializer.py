"""The contracts of a serializer and of a compressor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

__all__ = ["Compressor", "Serializer", "SigningKeys", "SigningSerializer"]


class Serializer(ABC):
    """Turns values into bytes and back. Thread-safe, stateless.

    ``is_safe`` says that ``loads`` runs no code of the sender's choosing; an unsafe one is refused unless
    ``accept_content`` names it.
    """

    name: ClassVar[str]
    content_type: ClassVar[str]
    content_encoding: ClassVar[str] = "utf-8"
    is_safe: ClassVar[bool] = False

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Encode *value*. Raises ``TypeError`` or ``ValueError`` for what it cannot hold."""

    def dumps_plain(self, value: Any) -> bytes:
        """Encode *value* of which it is known that it is plain: text, finite numbers, booleans, ``None``, in lists and
        in dicts with texts as keys. May write it otherwise than :meth:`dumps`, if that is quicker.
        """
        return self.dumps(value)

    def loads_beside(self, data: bytes, name: str) -> tuple[Any, bytes] | None:
        """Decode a list that ends with a dict which ends with a long list under *name*, but leave that list's items.

        Return what *data* hold with that list empty, and the items as they are written; ``None`` where *data* are
        otherwise, or it is hard to say. The other methods about items are called for a serializer that answers this.
        """
        return None

    def dumps_beside(self, values: Sequence[Any], name: str, items: bytes) -> bytes:
        """Encode *values*, a list that ends with a dict, with a list of the written *items* under *name* in that dict."""
        raise NotImplementedError

    def loads_items(self, items: bytes) -> list[Any]:
        """Decode written items. Raises as :meth:`loads` does."""
        raise NotImplementedError

    def pop_item(self, items: bytes, first: str) -> tuple[dict[str, Any], bytes] | None:
        """Decode the last of written items, which are dicts that begin with the key *first*; return it and the others.

        ``None`` where it is hard to say where the last one begins.
        """
        raise NotImplementedError

    @abstractmethod
    def loads(self, data: bytes) -> Any:
        """Decode *data*. Raises ``ValueError`` (or a subclass) for bytes that are not its own."""


@attrs.frozen(kw_only=True)
class SigningKeys:
    """What messages are signed with and checked against: PEM texts, and a folder or pattern of trusted certificates."""

    key: bytes = attrs.field(repr=False)
    key_password: bytes | None = attrs.field(repr=False)
    certificate: bytes
    store: str
    digest: str


class SigningSerializer(Serializer):
    """A serializer that signs what another one writes, and reads what somebody who is trusted has signed."""

    @abstractmethod
    def set_up(self, keys: SigningKeys, inner: Serializer, also: Mapping[str, Serializer]) -> None:
        """Sign with *keys* what *inner* writes, from now on; *also* holds further serializers to read, by content type.

        Called by ``app.setup_security()`` before the first message. Raises :class:`~umbel.exceptions.SecurityError` for
        keys and certificates that cannot be used. Until then :meth:`dumps` and :meth:`loads` refuse everything.
        """


class Compressor(ABC):
    """Makes bytes smaller and restores them. Thread-safe, stateless."""

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    content_type: ClassVar[str]

    @abstractmethod
    def compress(self, data: bytes) -> bytes:
        """Return *data* compressed."""

    @abstractmethod
    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        """Restore *data*; raises ``ValueError`` for bytes that are damaged, or that grow beyond *max_bytes*."""
