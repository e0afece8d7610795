"""The pickle serializer: any Python value, for peers that trust each other. Refused unless ``accept_content`` names it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer

__all__ = ["PickleSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("pickle",),
    summary="any Python value; whoever can send can run code here, so it is refused unless accept_content names it",
)


class PickleSerializer(Serializer):
    """Pickle, protocol 4 as kombu writes it; the environment's ``PICKLE_PROTOCOL`` changes that, as there."""

    name = "pickle"
    content_type = "application/x-python-serialize"
    content_encoding = "binary"
    is_safe = False

    def __init__(self) -> None:
        self._protocol = int(os.environ.get("PICKLE_PROTOCOL", "4"))

    def dumps(self, value: Any) -> bytes:
        try:
            return pickle.dumps(value, protocol=self._protocol)
        except Exception as error:  # __reduce__ and __getstate__ are the user's and may raise anything
            raise TypeError(f"cannot pickle {type(value).__qualname__}: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return pickle.loads(data)
        except Exception as error:  # damaged pickles raise nearly anything
            raise ValueError(f"not a pickle of this program's: {type(error).__name__}: {error}") from error


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    return [PickleSerializer()]
