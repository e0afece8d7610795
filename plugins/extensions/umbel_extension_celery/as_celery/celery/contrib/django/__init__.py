"""Django."""

from __future__ import annotations
