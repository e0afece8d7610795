"""The Lua that runs in the server. Each script is one atomic step; times are the server's, in milliseconds.

Umbel's own keys, beneath Celery's: ``umbel.leases`` (consumer -> end of its lease), ``umbel.inflight.<consumer>`` (what
it holds: ``<serial>:<list>`` -> envelope), ``umbel.delayed.<queue>`` (due time -> step's digit and envelope).
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLAIM", "EXPIRED", "PUT_BACK", "RECLAIM"]

_NOW: Final = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

#: KEYS: inflight, leases, one delayed set a queue, then the lists in the order of serving.
#: ARGV: consumer, lease in ms, limit, first serial, number of queues, number of steps, the most to hold (0: no limit),
#: then for each delayed set the index (in KEYS) of the queue's list for each step.
#: Answers: {milliseconds to the next delayed message or -1, index of list, its messages, index of list, ...}.
#: A call costs several microseconds of Lua: so lists that are not there are not asked, nor is a lease renewed that has half
#: its time to run.
CLAIM: Final = (
    _NOW
    + """
local limit, serial = tonumber(ARGV[3]), tonumber(ARGV[4])
local queues, steps = tonumber(ARGV[5]), tonumber(ARGV[6])
local most = tonumber(ARGV[7])
if most > 0 then limit = math.min(limit, most - redis.call('HLEN', KEYS[1])) end
local next_due = -1
for q = 1, queues do
  local delayed = KEYS[2 + q]
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if #first > 0 and tonumber(first[2]) <= now then
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 500)
    redis.call('ZREM', delayed, unpack(due))
    for i = 1, #due do
      local step = tonumber(string.sub(due[i], 1, 1))
      redis.call('LPUSH', KEYS[tonumber(ARGV[7 + (q - 1) * steps + step])], string.sub(due[i], 2))
    end
    first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  end
  if #first > 0 then
    local left = math.max(0, tonumber(first[2]) - now)
    if next_due < 0 or left < next_due then next_due = left end
  end
end
local answer = {next_due}
local filled = redis.call('EXISTS', unpack(KEYS, 3 + queues))
for k = 3 + queues, #KEYS do
  if limit <= 0 or filled == 0 then break end
  local messages = redis.call('RPOP', KEYS[k], limit)
  if messages and #messages > 0 then
    local fields = {}
    for i = 1, #messages do
      fields[2 * i - 1] = string.format('%d:%s', serial, KEYS[k])
      fields[2 * i] = messages[i]
      serial = serial + 1
    end
    redis.call('HSET', KEYS[1], unpack(fields))
    limit = limit - #messages
    filled = filled - 1
    answer[#answer + 1] = k - 2 - queues
    answer[#answer + 1] = messages
  end
end
local over = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not over or tonumber(over) < now + ARGV[2] / 2 then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
end
return answer
"""
)

#: KEYS: inflight. ARGV: field, destination, score (empty: a list), value, field, ... Answers how many were moved.
PUT_BACK: Final = """
local moved = 0
for i = 1, #ARGV, 4 do
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    if ARGV[i + 2] == '' then
      redis.call('RPUSH', ARGV[i + 1], ARGV[i + 3])
    else
      redis.call('ZADD', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    end
    moved = moved + 1
  end
end
return moved
"""

#: KEYS: leases. Answers the consumers whose lease is over.
EXPIRED: Final = _NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 20)"

#: KEYS: leases, inflight. ARGV: consumer, then field, list, envelope, ... Answers how many were freed, -1 when the
#: consumer has come back meanwhile. The lease goes when nothing is left.
RECLAIM: Final = (
    _NOW
    + """
local over = redis.call('ZSCORE', KEYS[1], ARGV[1])
if over and tonumber(over) > now then return -1 end
local freed = 0
for i = 2, #ARGV, 3 do
  if redis.call('HDEL', KEYS[2], ARGV[i]) == 1 then
    redis.call('RPUSH', ARGV[i + 1], ARGV[i + 2])
    freed = freed + 1
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end
return freed
"""
)
