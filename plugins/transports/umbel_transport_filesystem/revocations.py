"""What is revoked, one file for each time that something was: ``revoked/<until>-<token>.json``.

A reader remembers which files it has seen, so it needs no order among them.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from umbel.spi import Revocation

__all__ = ["read", "write"]


@attrs.frozen
class _Seen:
    """The files seen so far, and the folder's time when they were."""

    stamp: int = -1
    names: frozenset[str] = frozenset()


def write(folder: str, put: Callable[[bytes, str], None], revocations: Sequence[Revocation], expires_s: float) -> None:
    """Keep *revocations* in *folder*; *put* writes a file so that it is there as a whole. What has expired goes."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    now = time.time()
    for name in os.listdir(folder):
        if _until(name) <= now:
            with contextlib.suppress(FileNotFoundError):  # another one was quicker
                os.unlink(os.path.join(folder, name))
    data = json.dumps([[each.header, each.value] for each in revocations]).encode()
    put(data, os.path.join(folder, f"{int((now + expires_s) * 1000):015d}-{os.urandom(8).hex()}.json"))


def _until(name: str) -> float:
    digits = name.partition("-")[0]
    return int(digits) / 1000 if digits.isdigit() else 0.0


def read(folder: str, cursor: Any) -> tuple[Sequence[Revocation], Any]:
    """Return what was revoked since *cursor*."""
    seen = cursor if isinstance(cursor, _Seen) else _Seen()
    try:
        stamp = os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return (), seen
    # A folder that was changed a moment ago may be changed again without another time.
    if stamp == seen.stamp and time.time_ns() - stamp > 2_000_000_000:
        return (), seen
    names = frozenset(os.listdir(folder))
    now = time.time()
    found: list[Revocation] = []
    for name in sorted(names - seen.names):
        if _until(name) > now:
            found.extend(_entries(os.path.join(folder, name)))
    return found, _Seen(stamp, names)


def _entries(path: str) -> list[Revocation]:
    try:
        with open(path, "rb") as file:
            return [Revocation(value, header) for header, value in json.load(file)]
    except (FileNotFoundError, ValueError):  # expired meanwhile; damaged, which must not hold up the others
        return []
