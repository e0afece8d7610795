"""Compression with Brotli: the smallest text, slowly made."""

from __future__ import annotations

from collections.abc import Sequence

import brotli

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Compressor

__all__ = ["BrotliCompressor", "plugin_info", "umbel_compressors"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("brotli",),
    summary="compression: Brotli, the smallest for text, and slow to write",
    requires=("brotli",),
    extra="brotli",
)


class BrotliCompressor(Compressor):
    """One Brotli stream."""

    name = "brotli"
    content_type = "application/x-brotli"

    def compress(self, data: bytes) -> bytes:
        return bytes(brotli.compress(data))

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        if max_bytes is None:
            try:
                return bytes(brotli.decompress(data))
            except brotli.error as error:
                raise ValueError(f"damaged Brotli data: {error}") from error
        decompressor = brotli.Decompressor()
        restored = bytearray()
        try:
            while not decompressor.is_finished() and len(restored) <= max_bytes:
                piece = decompressor.process(data, output_buffer_limit=max_bytes - len(restored) + 1)
                restored += piece
                if not piece and not data:
                    raise ValueError("damaged Brotli data: they end too early")
                data = b""
        except brotli.error as error:
            raise ValueError(f"damaged Brotli data: {error}") from error
        if len(restored) > max_bytes:
            raise ValueError(f"compressed data grow beyond the limit of {max_bytes} bytes")
        return bytes(restored)


@hookimpl
def umbel_compressors() -> Sequence[Compressor]:
    return [BrotliCompressor()]
