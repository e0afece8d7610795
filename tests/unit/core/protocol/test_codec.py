from __future__ import annotations

import zlib
from typing import Any

import pytest

from umbel.exceptions import ContentDisallowed, DecodeError, EncodeError, PluginNotFound
from umbel.host import Host
from umbel.protocol.codec import Codec

JSON = "application/json"
PICKLE = "application/x-python-serialize"


def test_values_come_back_with_their_content_type(codec: Codec) -> None:
    """[B748] The content type selects the deserializer."""
    for name, content_type, encoding in [
        ("json", JSON, "utf-8"),
        ("pickle", PICKLE, "binary"),
        ("yaml", "application/x-yaml", "utf-8"),
        ("msgpack", "application/x-msgpack", "binary"),
    ]:
        data, *what = codec.dumps([1, {"a": "ä"}], name)
        assert what == [content_type, encoding]
        assert codec.loads(data, content_type, encoding, frozenset({content_type})) == [1, {"a": "ä"}]
        assert codec.dumps_as([1, {"a": "ä"}], content_type) == data


def test_what_is_not_accepted_is_refused_before_it_is_read(codec: Codec) -> None:
    data = codec.dumps(["x"], "pickle")[0]
    with pytest.raises(ContentDisallowed, match=r"x-python-serialize.*application/json.*accept_content"):
        codec.loads(data, PICKLE, "binary", frozenset({JSON}))
    with pytest.raises(ContentDisallowed):
        codec.loads(b"not even pickle", "no/such-type", "", frozenset({JSON}))


def test_without_a_list_the_safe_ones_are_accepted(codec: Codec) -> None:
    assert codec.loads(b"[1]", JSON) == [1]
    with pytest.raises(ContentDisallowed, match="safe ones only"):
        codec.loads(codec.dumps(["x"], "pickle")[0], PICKLE)


def test_content_types_takes_names_and_types(codec: Codec) -> None:
    assert codec.content_types(["json", "application/x-own"]) == {JSON, "application/x-own"}
    with pytest.raises(PluginNotFound):
        codec.content_types(["jsno"])


def test_a_type_that_nobody_reads_is_a_decode_error(codec: Codec) -> None:
    with pytest.raises(DecodeError, match="no installed serializer"):
        codec.loads(b"x", "application/x-own", "", frozenset({"application/x-own"}))


def test_damaged_data_are_a_decode_error(codec: Codec) -> None:
    with pytest.raises(DecodeError, match="cannot decode 1 bytes as application/json"):
        codec.loads(b"{", JSON, "utf-8", frozenset({JSON}))


def test_what_cannot_be_encoded_says_what_and_why(codec: Codec) -> None:
    with pytest.raises(EncodeError, match=r"json: set is not JSON: pass a list.*got \[\{1\}\]"):
        codec.dumps([{1}], "json")


def test_objects_whose_errors_break_are_an_encode_error_too(codec: Codec) -> None:
    """[B1106]"""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Value:
        def __json__(self) -> Any:
            raise Broken

        def __repr__(self) -> str:
            raise Broken

    with pytest.raises(EncodeError, match="Unrepresentable Value"):
        codec.dumps([Value()], "json")


@pytest.mark.parametrize("name", ["gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "zstd", "brotli"])
def test_compression_by_name_and_back_by_content_type(codec: Codec, name: str) -> None:
    """[B187, B478]"""
    data, content_type = codec.compress(b"abc" * 1000, name)
    assert len(data) < 300
    assert codec.decompress(data, content_type) == b"abc" * 1000


def test_bombs_and_unknown_compressions_are_decode_errors() -> None:
    codec = Codec(Host(), max_bytes=1000)
    assert codec.decompress(zlib.compress(bytes(1000)), "application/x-gzip") == bytes(1000)
    with pytest.raises(DecodeError, match="limit of 1000 bytes"):
        codec.decompress(zlib.compress(bytes(1001)), "application/x-gzip")
    with pytest.raises(DecodeError, match="no compressor named 'x/unknown'"):
        codec.decompress(b"", "x/unknown")
    with pytest.raises(PluginNotFound):
        codec.compress(b"", "unknown")
