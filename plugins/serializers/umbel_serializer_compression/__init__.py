"""Compression with what Python brings along: gzip/zlib, bzip2, xz. Zstandard and Brotli are modules beside this one."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Compressor

__all__ = ["Bzip2Compressor", "GzipCompressor", "LzmaCompressor", "plugin_info", "umbel_compressors"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("gzip", "zlib", "bzip2", "bzip", "lzma", "xz"),
    summary="compression: gzip (zlib), bzip2, xz (lzma)",
)

#: An xz file says how much memory its reader needs; more than any preset of the tool asks for is refused.
_XZ_MEMORY_BYTES: Final = 256 << 20


def _restore(make: Callable[[], Any], data: bytes, max_bytes: int | None, unlimited: int) -> bytes:
    """Run *data* through decompressors, one a stream, and stop one byte beyond *max_bytes*."""
    pieces: list[bytes] = []
    size = 0
    while True:
        decompressor = make()
        try:
            piece = decompressor.decompress(data, unlimited if max_bytes is None else max_bytes - size + 1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"damaged compressed data: {error}") from error
        pieces.append(piece)
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise ValueError(f"compressed data of {len(data)} bytes grow beyond the limit of {max_bytes} bytes")
        if not decompressor.eof:
            raise ValueError("damaged compressed data: they end too early")
        data = decompressor.unused_data
        if not data:
            return b"".join(pieces)


class GzipCompressor(Compressor):
    """zlib's format, which kombu calls gzip; real gzip files are read too."""

    name = "gzip"
    aliases = ("zlib",)
    content_type = "application/x-gzip"

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data)

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        return _restore(lambda: zlib.decompressobj(zlib.MAX_WBITS | 32), data, max_bytes, 0)


class Bzip2Compressor(Compressor):
    name = "bzip2"
    aliases = ("bzip",)
    content_type = "application/x-bz2"

    def compress(self, data: bytes) -> bytes:
        return bz2.compress(data)

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        return _restore(bz2.BZ2Decompressor, data, max_bytes, -1)


class LzmaCompressor(Compressor):
    name = "lzma"
    aliases = ("xz",)
    content_type = "application/x-lzma"

    def compress(self, data: bytes) -> bytes:
        return lzma.compress(data)

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        return _restore(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), data, max_bytes, -1)


@hookimpl
def umbel_compressors() -> Sequence[Compressor]:
    return [GzipCompressor(), Bzip2Compressor(), LzmaCompressor()]
