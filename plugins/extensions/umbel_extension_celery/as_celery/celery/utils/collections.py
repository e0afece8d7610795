"""Mappings."""

from __future__ import annotations

from umbel_extension_celery.mappings import AttributeDict, DictAttribute, LimitedSet, OrderedDict, force_mapping

__all__ = [
    "AttributeDict",
    "DictAttribute",
    "LimitedSet",
    "OrderedDict",
    "force_mapping",
]
