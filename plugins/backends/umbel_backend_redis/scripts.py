"""The Lua that runs in the server."""

from __future__ import annotations

from typing import Final

__all__ = ["JOIN", "STORE"]

#: KEYS: for each result its key and the key of its note. ARGV: for each result: state, attempt, 1 when final, seconds
#: to keep (0: for ever), document, note ('' when none is needed). The note holds ``<state> <attempt> <content type>
#: <encoding>`` of what the document does not tell by itself. The rule is ``TaskMeta.may_replace``.
STORE: Final = """
local final = {SUCCESS = true, FAILURE = true, REVOKED = true}
for i = 1, #KEYS / 2 do
  local key, note = KEYS[2 * i - 1], KEYS[2 * i]
  local a = (i - 1) * 6
  local attempt = tonumber(ARGV[a + 2])
  local stored = redis.call('GET', key)
  local write = true
  if stored then
    local state, tries = string.match(stored, '^{"status":%s*"([^"]+)"'), 0
    local noted = redis.call('GET', note)
    if noted then
      state, tries = string.match(noted, '^(%S+) (%d+)')
      tries = tonumber(tries)
    end
    if state == 'SUCCESS' then write = false
    elseif final[state] then write = attempt > tries
    else write = attempt >= tries end
  end
  if write then
    local keep = tonumber(ARGV[a + 4])
    if keep > 0 then redis.call('SETEX', key, keep, ARGV[a + 5]) else redis.call('SET', key, ARGV[a + 5]) end
    if ARGV[a + 6] ~= '' then
      if keep > 0 then redis.call('SETEX', note, keep, ARGV[a + 6]) else redis.call('SET', note, ARGV[a + 6]) end
    elseif stored then
      redis.call('DEL', note)
    end
    redis.call('PUBLISH', key, ARGV[a + 5])
  end
end
"""

#: KEYS: .j .s .t .d .c of one chord. ARGV: task id, score, member, size or '', seconds to keep, seconds to keep after
#: completion, the name of this part in .d, how many members it has added. Answers 0 while incomplete, else the members in order,
#: each with its score.
#: These are the steps of Celery 5.7 over its keys, so that its workers and ours can complete one chord together.
JOIN: Final = """
local token = redis.call('GET', KEYS[5])
if token == 'done' then return 0 end
local fresh = redis.call('SADD', KEYS[4], ARGV[7])
if fresh == 1 then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
  if ARGV[8] ~= '0' then redis.call('INCRBY', KEYS[3], ARGV[8]) end
end
if ARGV[4] ~= '' then redis.call('SET', KEYS[2], ARGV[4], 'NX') end
local keep = tonumber(ARGV[5])
if keep > 0 then
  for i = 1, 4 do redis.call('EXPIRE', KEYS[i], keep) end
end
local size = redis.call('GET', KEYS[2])
if not size then return 0 end
local wanted = tonumber(size) + tonumber(redis.call('GET', KEYS[3]) or '0')
if redis.call('ZCARD', KEYS[1]) < wanted then return 0 end
if not redis.call('SET', KEYS[5], ARGV[7], 'NX', 'EX', ARGV[6]) and token ~= ARGV[7] then return 0 end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[6]) end
return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
"""
