"""Finds, checks and loads plugins, and gives each hook its types back.

:class:`Host` is what the rest of the kernel uses. Nothing outside of this package calls pluggy or stevedore, and
inside it only :mod:`umbel.host.loading` does.
"""

from __future__ import annotations

from umbel.host.discovery import InstalledPlugin
from umbel.host.facade import Host
from umbel.host.loading import LoadedPlugin

__all__ = ["Host", "InstalledPlugin", "LoadedPlugin"]
