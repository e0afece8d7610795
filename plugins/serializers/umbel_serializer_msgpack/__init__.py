"""The MessagePack serializer: JSON's types and bytes, smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer

__all__ = ["MsgpackSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("msgpack",),
    summary="MessagePack: JSON's types and bytes, in fewer bytes",
    requires=("msgpack",),
    extra="msgpack",
)


class MsgpackSerializer(Serializer):
    """MessagePack as kombu frames it: text and bytes told apart. Keys may also be numbers, which kombu cannot read."""

    name = "msgpack"
    content_type = "application/x-msgpack"
    content_encoding = "binary"
    is_safe = True

    def dumps(self, value: Any) -> bytes:
        try:
            data: Any = msgpack.packb(value, use_bin_type=True)
            return bytes(data)
        except OverflowError as error:
            raise ValueError(f"MessagePack holds whole numbers of 64 bits at most: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return msgpack.unpackb(data, raw=False, strict_map_key=False)
        except (TypeError, msgpack.UnpackException) as error:
            raise ValueError(f"not MessagePack: {error}") from error


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    return [MsgpackSerializer()]
