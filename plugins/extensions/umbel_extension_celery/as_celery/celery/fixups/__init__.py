"""Adapters to frameworks."""

from __future__ import annotations
