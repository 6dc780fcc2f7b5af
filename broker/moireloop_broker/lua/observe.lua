-- Publish an observation and put its point into the series of its attempt, unless nobody began that attempt, or the
-- point would take the place of the last one of a candidate that has its result.
-- Answers the newest points of the series by step, oldest first.
-- KEYS observations series candidate
-- ARGV observation observations_kept attempt step point points_kept window
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
local held = redis.call('HMGET', KEYS[3], 'attempt', 'state')
if not held[1] or tonumber(ARGV[3]) > tonumber(held[1]) then
  return {}
end
if held[2] == 'settled' and redis.call('ZCOUNT', KEYS[2], ARGV[4], ARGV[4]) > 0 then
  return {}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[4], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[6] - 1)
if ARGV[7] == '0' then
  return {}
end
return redis.call('ZRANGE', KEYS[2], -ARGV[7], -1)
