-- Lease the first waiting entry to a worker in one step: first entries that ran before, then all others.
-- Returns, packed, the packed candidate, its attempt and the time when it was queued; nothing if none waits,
-- 'draining' if none may be leased. A ticket that comes twice counts once: a worker whose reply was lost gets the same
-- lease.
-- The event is joined from its packed parts: before the id, between id and attempt, after the attempt.
-- KEYS queue_again queue state log counts leases takes
-- ARGV group worker ticket candidate_prefix lease_ms leased_s event_head event_middle event_tail
redis.replicate_commands()
local last = redis.call('HGET', KEYS[7], ARGV[2])
if last then
  local ticket, id, attempt = string.match(last, '^(%S+) (%S+) (%S+)$')
  if ticket == ARGV[3] then
    local held = redis.call('HMGET', ARGV[4] .. id, 'state', 'attempt', 'worker', 'candidate', 'queued_s')
    if held[1] == 'leased' and held[2] == attempt and held[3] == ARGV[2] then
      return cmsgpack.pack({held[4], attempt, held[5]})
    end
    return false
  end
end
local state = redis.call('GET', KEYS[3])
if state ~= 'started' and state ~= 'resumed' then
  return 'draining'
end
for number = 1, 2 do
  local queue = KEYS[number]
  while number == 2 or redis.call('XLEN', queue) > 0 do
    local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'NOACK', 'STREAMS', queue, '>')
    if not read then
      break
    end
    local entry, fields = read[1][2][1][1], {}
    for at = 1, #read[1][2][1][2], 2 do
      fields[read[1][2][1][2][at]] = read[1][2][1][2][at + 1]
    end
    redis.call('XDEL', queue, entry)
    local id, attempt = fields['id'], fields['attempt']
    local key = ARGV[4] .. id
    local held = redis.call('HMGET', key, 'state', 'attempt', 'candidate')
    if held[1] == 'queued' and held[2] == attempt then
      local time = redis.call('TIME')
      redis.call('HSET', key, 'state', 'leased', 'worker', ARGV[2], 'leased_s', ARGV[6], 'step', '0')
      redis.call('ZADD', KEYS[6], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], id)
      redis.call('HINCRBY', KEYS[5], 'queued', -1)
      redis.call('HINCRBY', KEYS[5], 'running', 1)
      redis.call('HSET', KEYS[7], ARGV[2], ARGV[3] .. ' ' .. id .. ' ' .. attempt)
      redis.call('XADD', KEYS[4], '*', 'e', ARGV[7] .. cmsgpack.pack(id) .. ARGV[8] .. cmsgpack.pack(tonumber(attempt)) .. ARGV[9])
      return cmsgpack.pack({held[3], attempt, fields['queued_s']})
    end
  end
end
return false
