-- Publish an observation and put its point into the series of its attempt, unless nobody began that attempt.
-- Answers the newest points of the series by step, oldest first.
-- KEYS observations series candidate
-- ARGV observation observations_kept attempt step point points_kept window
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
local present = redis.call('HGET', KEYS[3], 'attempt')
if not present or tonumber(ARGV[3]) > tonumber(present) then
  return {}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[4], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[6] - 1)
if ARGV[7] == '0' then
  return {}
end
return redis.call('ZRANGE', KEYS[2], -ARGV[7], -1)
