"""The serializer ``demo``: JSON under a name of its own, to be replaced by your format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer

__all__ = ["DemoSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(kind="serializer", names=("demo",), summary="JSON under a name of its own")


class DemoSerializer(Serializer):
    """Turns values into bytes and back."""

    name = "demo"
    content_type = "application/x-demo"
    is_safe = True  # loads() runs no code of the sender's choosing

    def dumps(self, value: Any) -> bytes:
        """Encode *value*. Raises ``TypeError`` or ``ValueError`` for what it cannot hold."""
        try:
            return json.dumps(value).encode()
        except RecursionError as error:
            raise ValueError("expected a value without cycles, got one that contains itself") from error

    def loads(self, data: bytes) -> Any:
        """Decode *data*. Raises ``ValueError`` for bytes that are not its own."""
        try:
            return json.loads(data.decode())
        except RecursionError as error:
            raise ValueError("expected a document of some depth, got one that nests too deeply") from error


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    """Return the serializers of this package."""
    return [DemoSerializer()]
