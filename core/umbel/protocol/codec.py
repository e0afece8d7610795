"""Values to bytes and back, through the installed serializers and compressors.

Everything that arrives goes through :meth:`Codec.loads`, which is where ``accept_content`` is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from umbel.exceptions import ContentDisallowed, DecodeError, EncodeError, PluginError, SecurityError
from umbel.protocol.reprs import saferepr, safestr
from umbel.spi import Compressor, Serializer

__all__ = ["MAX_DECOMPRESSED_BYTES", "Codec", "SerializerSource"]

#: What a compressed body may grow to, unless the application says otherwise.
MAX_DECOMPRESSED_BYTES: Final = 256 << 20

_REFUSED: Final = "refusing content of type {type}: accepted are {accepted}. Add {name!r} to accept_content to take it"


class SerializerSource(Protocol):
    """What a codec asks of the host."""

    def serializer(self, name: str, /) -> Serializer: ...

    def serializer_for(self, content_type: str, /) -> Serializer | None: ...

    def compressor(self, name: str, /) -> Compressor: ...


class Codec:
    """Encodes and decodes by the name of a serializer or by a content type. Thread-safe; looks each plugin up once.

    *max_bytes* bounds the body of a message, and what a compressed one may grow to (``None``: no bound).
    """

    def __init__(self, host: SerializerSource, max_bytes: int | None = MAX_DECOMPRESSED_BYTES) -> None:
        self._host = host
        self.max_bytes = max_bytes
        # Filled on first use. Two threads may fill the same entry at once, with the same value.
        self._writers: dict[str, tuple[Callable[[Any], bytes], str, str]] = {}
        self._readers: dict[str, Serializer] = {}
        self._compressors: dict[str, Compressor] = {}

    # -- values -------------------------------------------------------------------------------------------------------

    def dumps(self, value: Any, serializer: str) -> tuple[bytes, str, str]:
        """Return *value* as bytes, with their content type and content encoding.

        Raises :class:`~umbel.exceptions.EncodeError` for what the serializer cannot hold, and what the host raises for
        an unknown serializer.
        """
        try:
            write, content_type, encoding = self._writers[serializer]
        except KeyError:
            write, content_type, encoding = self._writer(serializer)
        try:
            return write(value), content_type, encoding
        except Exception as error:  # __json__, __reduce__ and the like are the user's
            raise EncodeError(f"cannot encode as {serializer}: {safestr(error)}; got {saferepr(value, 200)}") from error

    def dumps_plain(self, value: Any, serializer: str) -> tuple[bytes, str, str]:
        """Like :meth:`dumps`, for plain data, which :meth:`umbel.spi.Serializer.dumps_plain` describes."""
        _, content_type, encoding = self._writers.get(serializer) or self._writer(serializer)
        try:
            return self._reader(content_type).dumps_plain(value), content_type, encoding
        except Exception as error:
            raise EncodeError(f"cannot encode as {serializer}: {safestr(error)}; got {saferepr(value, 200)}") from error

    def dumps_beside(self, values: Sequence[Any], name: str, items: Any, serializer: str) -> tuple[bytes, str, str]:
        """Like :meth:`dumps`, for *values* that end with a dict, with unread *items* under *name* in it."""
        _, content_type, encoding = self._writers.get(serializer) or self._writer(serializer)
        writer = self._reader(content_type)
        if writer is not items.serializer:
            *others, last = values
            return self.dumps([*others, {**last, name: list(items)}], serializer)
        try:
            return writer.dumps_beside(values, name, items.written), content_type, encoding
        except Exception as error:
            raise EncodeError(
                f"cannot encode as {serializer}: {safestr(error)}; got {saferepr(values, 200)}"
            ) from error

    def dumps_as(self, value: Any, content_type: str) -> bytes:
        """Return *value* as bytes of *content_type*. Raises :class:`~umbel.exceptions.EncodeError`."""
        return self.dumps(value, self._reader(content_type).name)[0]

    def loads(
        self,
        data: bytes,
        content_type: str,
        content_encoding: str = "",
        accept: frozenset[str] | None = None,
        split: Callable[[Serializer, bytes], Any] | None = None,
    ) -> Any:
        """Return the value that *data* stand for.

        *accept* holds the content types to take; ``None`` takes every safe one. *content_encoding* is not asked: each
        serializer knows its own, as in kombu. *split* is asked first, and may answer without reading all. Raises
        :class:`~umbel.exceptions.ContentDisallowed` before looking at the data, :class:`~umbel.exceptions.DecodeError` for
        data that are not what they are said to be.
        """
        if accept is not None and content_type not in accept:
            raise self._disallowed(content_type, accept)
        try:
            serializer = self._readers[content_type]
        except KeyError:
            serializer = self._reader(content_type)
        if accept is None and not serializer.is_safe:
            raise self._disallowed(content_type, None)
        try:
            return (split(serializer, data) if split is not None else None) or serializer.loads(data)
        except SecurityError:
            raise
        except Exception as error:  # a serializer may break its promise to raise ValueError alone
            raise DecodeError(f"cannot decode {len(data)} bytes as {content_type}: {safestr(error)}") from error

    def content_type(self, name: str) -> str:
        """Return the content type of *name*: the name of a serializer, or a content type (anything with a ``/``)."""
        if "/" in name:
            return name
        return (self._writers.get(name) or self._writer(name))[1]

    def content_types(self, names: Iterable[str]) -> frozenset[str]:
        """Return the content types of *names*, such as those of ``accept_content``."""
        return frozenset(map(self.content_type, names))

    # -- compression --------------------------------------------------------------------------------------------------

    def compress(self, data: bytes, name: str) -> tuple[bytes, str]:
        """Return *data* compressed by the compressor *name*, with its content type."""
        compressor = self._compressor(name)
        return compressor.compress(data), compressor.content_type

    def decompress(self, data: bytes, content_type: str) -> bytes:
        """Restore *data*. Raises :class:`~umbel.exceptions.DecodeError` when they are damaged or grow too big."""
        try:
            return self._compressor(content_type).decompress(data, self.max_bytes)
        except Exception as error:  # an unknown content type, or its driver missing, included
            raise DecodeError(f"cannot decompress {len(data)} bytes of {content_type}: {safestr(error)}") from error

    # -- plugins ------------------------------------------------------------------------------------------------------

    def _writer(self, name: str) -> tuple[Callable[[Any], bytes], str, str]:
        serializer = self._host.serializer(name)
        writer = (serializer.dumps, serializer.content_type, serializer.content_encoding)
        self._writers[name] = writer
        return writer

    def _reader(self, content_type: str) -> Serializer:
        try:
            serializer = self._readers.get(content_type) or self._host.serializer_for(content_type)
        except PluginError as error:  # its driver is missing: the message is as unreadable as one of an unknown type
            raise DecodeError(f"cannot decode content of type {content_type!r}: {error}") from error
        if serializer is None:
            raise DecodeError(
                f"no installed serializer reads content of type {content_type!r}; `umbel plugins list` shows what there is"
            )
        self._readers[content_type] = serializer
        return serializer

    def _compressor(self, name: str) -> Compressor:
        try:
            return self._compressors[name]
        except KeyError:
            compressor = self._compressors[name] = self._host.compressor(name)
            return compressor

    def _disallowed(self, content_type: str, accept: frozenset[str] | None) -> ContentDisallowed:
        serializer = self._readers.get(content_type)
        accepted = "safe ones only" if accept is None else ", ".join(sorted(accept)) or "none"
        name = serializer.name if serializer else content_type
        return ContentDisallowed(_REFUSED.format(type=content_type, accepted=accepted, name=name))
