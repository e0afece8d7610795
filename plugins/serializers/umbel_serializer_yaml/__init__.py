"""The YAML serializer: plain values, dates and sets among them, through PyYAML's safe loader and dumper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer

__all__ = ["YamlSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("yaml",),
    summary="YAML: more types than JSON, dates and sets among them, and much slower",
    requires=("yaml",),
    extra="yaml",
)


class YamlSerializer(Serializer):
    """YAML as kombu writes it: ``safe_dump`` and ``safe_load``."""

    name = "yaml"
    content_type = "application/x-yaml"
    is_safe = True

    def dumps(self, value: Any) -> bytes:
        try:
            return yaml.safe_dump(value).encode()
        except (yaml.YAMLError, RecursionError) as error:
            raise TypeError(f"not YAML: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return yaml.safe_load(data)
        except Exception as error:  # the constructors of dates and numbers raise what they like
            raise ValueError(f"not YAML: {error}") from error


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    return [YamlSerializer()]
