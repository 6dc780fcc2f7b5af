-- Renew a lease. Returns the order for this attempt ('cancelled', 'settled' or 'hopeless'), '' if there is none,
-- and 'lost' if the lease is lost. A cancel holds for every attempt, an early end only for the attempt that it names.
-- KEYS candidate leases   ARGV id attempt worker lease_ms step
redis.replicate_commands()
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker', 'cancel', 'order_attempt', 'order')
if held[1] ~= 'leased' or held[2] ~= ARGV[2] or held[3] ~= ARGV[3] then
  return 'lost'
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[1], 'step', ARGV[5])
if held[4] then
  return 'cancelled'
end
return held[5] == ARGV[2] and held[6] or ''
