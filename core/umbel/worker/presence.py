"""A lock by which two workers of one name on one machine and broker find out about each other."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile

__all__ = ["Presence"]

logger = logging.getLogger("umbel.worker")


class Presence:
    """Holds a lock file for (*broker*, *node*) while the worker runs. The kernel drops it when the process dies."""

    def __init__(self, broker: str, node: str) -> None:
        digest = hashlib.sha256(f"{broker}\n{node}".encode()).hexdigest()[:20]
        directory = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        self._path = os.path.join(directory, f"umbel-node-{os.getuid()}-{digest}.lock")
        self._node = node
        self._handle: int | None = None
        #: False once another worker of this name was found on this machine.
        self.is_alone = True

    def acquire(self) -> bool:
        """Take the lock; say whether this is the only worker of its name. Warns when it is not [B1125]."""
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:  # no place for such files: then there is no warning either
            logger.debug("no lock for the node's name: %r", error)
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            self.is_alone = False
            logger.warning(
                "another worker named %s runs on this machine with the same broker; they are told apart by "
                "their processes alone: give each a name of its own (-n NAME@%%h)",
                self._node,
            )
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Let go of the lock. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            os.close(handle)
