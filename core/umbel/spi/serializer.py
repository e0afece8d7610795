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

    def dumps_beside(self, values: Sequence[Any], name: str, plain: Sequence[Any]) -> bytes:
        """Encode *values*, a list that ends with a dict, as if that dict had *plain* under *name* too.

        *plain* is plain data, as in :meth:`dumps_plain`, and may be long: this may write it otherwise than :meth:`dumps`,
        if that is quicker.
        """
        *others, last = values
        return self.dumps([*others, {**last, name: list(plain)}])

    def holds_plain(self, data: bytes) -> bool:
        """Say whether what *data* hold, which :meth:`loads` has read, is plain data; false where it is hard to say."""
        return False

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
