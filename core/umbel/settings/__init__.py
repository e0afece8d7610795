"""The settings: what there is (:data:`OPTIONS`), and the configuration of an application (:class:`Configuration`).

Every setting of Celery's that belongs to the kernel is here under its name; the reference page is made from the rows.
"""

from __future__ import annotations

from umbel.settings.configuration import Configuration
from umbel.settings.foreign import FOREIGN
from umbel.settings.layers import Layer, Origin
from umbel.settings.names import OLD_NAMES, REMOVED
from umbel.settings.notices import ForeignSettingWarning, UmbelDeprecationWarning
from umbel.settings.option import SAME, Option
from umbel.settings.schema import OPTIONS, Settings
from umbel.settings.sections import SectionDirectory

__all__ = [
    "FOREIGN",
    "OLD_NAMES",
    "OPTIONS",
    "REMOVED",
    "SAME",
    "Configuration",
    "ForeignSettingWarning",
    "Layer",
    "Option",
    "Origin",
    "SectionDirectory",
    "Settings",
    "UmbelDeprecationWarning",
]
