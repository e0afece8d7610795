"""Compression with Zstandard: as fast as it gets, and smaller than gzip."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Compressor

__all__ = ["ZstdCompressor", "plugin_info", "umbel_compressors"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("zstd", "zstandard"),
    summary="compression: Zstandard, faster and smaller than gzip",
    requires=("zstandard",),
    extra="zstd",
)


class ZstdCompressor(Compressor):
    """One Zstandard frame. The driver's objects belong to one thread, so each call makes its own."""

    name = "zstd"
    aliases = ("zstandard",)
    content_type = "application/zstd"

    def compress(self, data: bytes) -> bytes:
        return bytes(zstandard.ZstdCompressor().compress(data))

    def decompress(self, data: bytes, max_bytes: int | None = None) -> bytes:
        decompressor = zstandard.ZstdDecompressor()
        try:
            declared = zstandard.frame_content_size(data)
            if max_bytes is not None and declared > max_bytes:
                raise ValueError(f"compressed data say that they grow to {declared} bytes; the limit is {max_bytes}")
            if declared >= 0:
                return bytes(decompressor.decompress(data, allow_extra_data=False))
            if max_bytes is not None:  # the size is not in the header: the driver stops at the limit
                return bytes(decompressor.decompress(data, max_output_size=max_bytes, allow_extra_data=False))
            stream = decompressor.decompressobj()
            restored = bytes(stream.decompress(data))
        except zstandard.ZstdError as error:
            raise ValueError(f"damaged Zstandard data, or grown beyond {max_bytes} bytes: {error}") from error
        if not stream.eof:
            raise ValueError("damaged Zstandard data: they end too early")
        return restored


@hookimpl
def umbel_compressors() -> Sequence[Compressor]:
    return [ZstdCompressor()]
