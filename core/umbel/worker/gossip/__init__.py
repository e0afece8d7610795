"""Workers hear of each other: who is alive, and who is to do what only one shall do."""

from __future__ import annotations

from umbel.worker.gossip.elections import Elections
from umbel.worker.gossip.gossip import Gossip

__all__ = ["Elections", "Gossip"]
