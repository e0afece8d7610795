"""What is revoked, in one sorted set: ``umbel.revoked``, each entry scored with the server's time when it was revoked.

A score is never given twice, so whoever remembers the last one misses nothing. What is older than it is to be kept goes
with the next revocation, and the whole set when nothing was revoked for that long.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from umbel.spi import Revocation
from umbel_transport_redis.link import Link

__all__ = ["read", "write"]

#: KEYS: the set. ARGV: how long to keep (ms), then the entries.
_WRITE: Final = """
local t = redis.call('TIME'); local now = t[1] * 1000000 + t[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1] * 1000)
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] then now = math.max(now, tonumber(last[2]) + 1) end
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[i])
  now = now + 1
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.status_reply('OK')
"""
#: A call of Lua takes some 8,000 arguments.
_BATCH: Final = 2000


def write(link: Link, key: str, revocations: Sequence[Revocation], expires_s: float) -> None:
    """Keep *revocations*."""
    entries = [json.dumps([each.header, each.value]) for each in revocations]
    for start in range(0, len(entries), _BATCH):
        link.run(_WRITE, [key], [int(expires_s * 1000), *entries[start : start + _BATCH]])


def read(link: Link, key: str, cursor: Any) -> tuple[Sequence[Revocation], Any]:
    """Return what was revoked since *cursor*."""
    after = "-inf" if cursor is None else f"({cursor}"
    answer = link.call("ZRANGEBYSCORE", key, after, "+inf", "WITHSCORES")
    if not answer:
        return (), cursor
    found = [json.loads(entry) for entry in answer[::2]]
    return [Revocation(value, header) for header, value in found], f"{float(answer[-1]):.0f}"
