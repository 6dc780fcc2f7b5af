-- Request the early end of a candidate: a queued one is settled at once, the worker of a running one is woken.
-- Returns 'cancelled', 'asked', 'late' (its run is over), 'unknown', or 'running' if only a queued one may end.
-- KEYS candidate log counts queue instructions queue_again
-- ARGV reason cancel_event result_event instructions_kept_s request_event only_queued
local held = redis.call('HMGET', KEYS[1], 'state', 'cancel', 'entry', 'again')
if not held[1] then
  return 'unknown'
end
local function tell()
  if ARGV[5] ~= '' then
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[5])
  end
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
end
if held[1] == 'queued' then
  redis.call('XDEL', held[4] == '1' and KEYS[6] or KEYS[4], held[3])
  redis.call('HSET', KEYS[1], 'state', 'settled', 'outcome', 'cancelled', 'cancel', ARGV[1])
  redis.call('HINCRBY', KEYS[3], 'queued', -1)
  redis.call('HINCRBY', KEYS[3], 'cancelled', 1)
  tell()
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
  return 'cancelled'
end
if held[1] == 'leased' then
  if ARGV[6] == '1' then
    return 'running'
  end
  if not held[2] then
    redis.call('HSET', KEYS[1], 'cancel', ARGV[1])
    tell()
    redis.call('RPUSH', KEYS[5], 'cancelled')
    redis.call('LTRIM', KEYS[5], -1, -1)
    redis.call('EXPIRE', KEYS[5], ARGV[4])
  end
  return 'asked'
end
return 'late'
