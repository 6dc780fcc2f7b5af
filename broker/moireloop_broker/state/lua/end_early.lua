-- Order the early end of a running attempt and wake its worker. The first order of an attempt stands.
-- Returns 'ordered', 'again' (an order stands) or 'late' (this attempt is no longer running).
-- KEYS candidate log instructions   ARGV attempt worker ending reason event instructions_kept_s
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker', 'order_attempt')
if held[1] ~= 'leased' or held[2] ~= ARGV[1] or held[3] ~= ARGV[2] then
  return 'late'
end
if held[4] == ARGV[1] then
  return 'again'
end
redis.call('HSET', KEYS[1], 'order_attempt', ARGV[1], 'order', ARGV[3], 'order_reason', ARGV[4])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[5])
redis.call('RPUSH', KEYS[3], ARGV[3])
redis.call('LTRIM', KEYS[3], -1, -1)
redis.call('EXPIRE', KEYS[3], ARGV[6])
return 'ordered'
