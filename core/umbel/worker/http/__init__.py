"""The HTTP endpoint of a node: is it alive, is it ready, and its figures for Prometheus."""

from __future__ import annotations

from umbel.worker.http.steps import HttpStep

__all__ = ["HttpStep"]
