-- Renew a lease. Answers 1 when cancel was asked for, 0 when not, -1 when the lease is lost.
-- KEYS candidate leases   ARGV id attempt worker lease_ms step
redis.replicate_commands()
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker')
if held[1] ~= 'leased' or held[2] ~= ARGV[2] or held[3] ~= ARGV[3] then
  return -1
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[1], 'step', ARGV[5])
return redis.call('HEXISTS', KEYS[1], 'cancel')
