"""The calling side of remote control: ask workers what they do, and tell them what to do.

``app.control`` is a :class:`Control`; ``app.control.inspect()`` gives an :class:`Inspect`.
"""

from __future__ import annotations

from umbel.control.client import Control
from umbel.control.inspection import Inspect
from umbel.control.replies import Replies, flatten_reply

__all__ = ["Control", "Inspect", "Replies", "flatten_reply"]
