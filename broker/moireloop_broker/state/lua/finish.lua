-- Keep the final frame of a run and hand the candidate to the analyzers.
-- Returns 1, or 0 if the lease is lost. The same attempt twice counts once.
-- KEYS candidate log counts leases finals final_frame counters
-- ARGV id attempt worker report frame event frames_sent frames_dropped
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker')
if held[2] ~= ARGV[2] or held[3] ~= ARGV[3] then
  return 0
end
if held[1] == 'finished' or held[1] == 'settled' then
  return 1
end
if held[1] ~= 'leased' then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'finished', 'report', ARGV[4])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SET', KEYS[6], ARGV[5])
redis.call('XADD', KEYS[5], '*', 'id', ARGV[1], 'attempt', ARGV[2], 'bytes', #ARGV[5])
redis.call('HINCRBY', KEYS[3], 'running', -1)
redis.call('HINCRBY', KEYS[3], 'analysing', 1)
if ARGV[7] ~= '0' then
  redis.call('HINCRBY', KEYS[7], 'frames_sent', ARGV[7])
end
if ARGV[8] ~= '0' then
  redis.call('HINCRBY', KEYS[7], 'frames_dropped', ARGV[8])
end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[6])
return 1
