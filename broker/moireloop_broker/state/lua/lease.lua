-- Turn a queue entry that was handed to a worker into a lease.
-- Returns 'leased', 'stale' (the entry is obsolete) or 'draining' (the entry went back).
-- The queue is the one that holds the entry.
-- KEYS candidate queue log counts leases state
-- ARGV id entry group attempt worker lease_ms leased_s event
redis.replicate_commands()
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker', 'queued_s')
if held[1] == 'leased' and held[2] == ARGV[4] and held[3] == ARGV[5] then
  return 'leased'
end
local function drop_entry()
  redis.call('XACK', KEYS[2], ARGV[3], ARGV[2])
  redis.call('XDEL', KEYS[2], ARGV[2])
end
if held[1] ~= 'queued' or held[2] ~= ARGV[4] then
  drop_entry()
  return 'stale'
end
local state = redis.call('GET', KEYS[6])
if state ~= 'started' and state ~= 'resumed' then
  drop_entry()
  local entry = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'attempt', ARGV[4], 'queued_s', held[4])
  redis.call('HSET', KEYS[1], 'entry', entry)
  return 'draining'
end
local time = redis.call('TIME')
local expires_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[6]
drop_entry()
redis.call('HSET', KEYS[1], 'state', 'leased', 'worker', ARGV[5], 'leased_s', ARGV[7], 'step', '0')
redis.call('ZADD', KEYS[5], expires_ms, ARGV[1])
redis.call('HINCRBY', KEYS[4], 'queued', -1)
redis.call('HINCRBY', KEYS[4], 'running', 1)
redis.call('XADD', KEYS[3], '*', 'e', ARGV[8])
return 'leased'
