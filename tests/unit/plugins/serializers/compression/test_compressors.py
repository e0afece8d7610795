from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import Any

import pytest

from umbel_serializer_compression import Bzip2Compressor, GzipCompressor, LzmaCompressor

DATA = b"to and fro " * 500


@pytest.mark.parametrize(
    ("compressor", "compress", "content_type"),
    [
        (GzipCompressor(), zlib.compress, "application/x-gzip"),
        (Bzip2Compressor(), bz2.compress, "application/x-bz2"),
        (LzmaCompressor(), lzma.compress, "application/x-lzma"),
    ],
)
def test_formats_and_names_are_kombus(compressor: Any, compress: Any, content_type: str) -> None:
    assert compressor.content_type == content_type
    assert compressor.compress(DATA) == compress(DATA)
    assert compressor.decompress(compress(DATA)) == DATA


def test_real_gzip_files_are_read() -> None:
    assert GzipCompressor().decompress(gzip.compress(DATA), len(DATA)) == DATA


@pytest.mark.parametrize("module", [bz2, lzma, gzip])
def test_streams_in_a_row_are_one(module: Any) -> None:
    kinds: dict[Any, type[Any]] = {bz2: Bzip2Compressor, lzma: LzmaCompressor, gzip: GzipCompressor}
    compressor = kinds[module]()
    twice = module.compress(DATA) + module.compress(DATA)
    assert compressor.decompress(twice) == DATA * 2
    with pytest.raises(ValueError, match="limit"):
        compressor.decompress(twice, len(DATA) + 1)


def test_an_xz_stream_that_asks_for_a_gigabyte_is_refused() -> None:
    # Written with a small dictionary, then made to ask for a large one: its reader trusts the header.
    asking = lzma.compress(DATA, format=lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}])
    asking = asking[:1] + (1 << 30).to_bytes(4, "little") + asking[5:]
    with pytest.raises(ValueError, match="damaged"):
        LzmaCompressor().decompress(asking)


class TestZstd:
    @pytest.fixture
    def driver(self) -> Any:
        return pytest.importorskip("zstandard", reason="pip install 'umbel[zstd]'")

    @pytest.fixture
    def compressor(self, driver: Any) -> Any:
        from umbel_serializer_compression.zstd_compressor import ZstdCompressor

        return ZstdCompressor()

    def test_a_frame_that_hides_its_size_is_bounded_too(self, driver: Any, compressor: Any) -> None:
        writer = driver.ZstdCompressor().compressobj()
        frame = writer.compress(bytes(1_000_000)) + writer.flush()
        assert driver.frame_content_size(frame) == -1
        assert compressor.decompress(frame) == bytes(1_000_000) == compressor.decompress(frame, 1_000_000)
        with pytest.raises(ValueError, match="grown beyond 999999"):
            compressor.decompress(frame, 999_999)
        for limit in (None, 2_000_000):
            with pytest.raises(ValueError, match="damaged"):
                compressor.decompress(frame[:-3], limit)

    def test_a_frame_that_lies_about_its_size_is_refused_unread(self, driver: Any, compressor: Any) -> None:
        frame = driver.ZstdCompressor().compress(bytes(1 << 30 >> 8))
        with pytest.raises(ValueError, match="say that they grow"):
            compressor.decompress(frame, 1000)

    def test_what_follows_the_frame_is_not_dropped_silently(self, compressor: Any) -> None:
        with pytest.raises(ValueError, match="damaged"):
            compressor.decompress(compressor.compress(DATA) * 2)
