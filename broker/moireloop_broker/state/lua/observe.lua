-- Publish an observation and put its point into the series of its attempt. If the series already has a point of
-- this step, the first one stands and nothing is done. Without a running attempt it is only published.
-- Returns the newest points of the series by step, oldest first.
-- KEYS observations series candidate
-- ARGV observation observations_kept attempt step point points_kept window
local attempt = redis.call('HGET', KEYS[3], 'attempt')
local is_new = redis.call('ZCOUNT', KEYS[2], ARGV[4], ARGV[4]) == 0
if is_new then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
end
if not attempt or tonumber(ARGV[3]) > tonumber(attempt) then
  return {}
end
if is_new then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[6] - 1)
end
if ARGV[7] == '0' then
  return {}
end
return redis.call('ZRANGE', KEYS[2], -ARGV[7], -1)
