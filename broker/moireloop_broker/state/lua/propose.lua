-- Put new candidates into the queue, in their order.
-- Each of several is, packed, a list of id, packed candidate, queued_s, event and request_event ('' for our own).
-- budget is the largest number of results, or '' if it does not matter.
-- If the budget has no room for a candidate from outside, the first of `spares` that still waits as it was proposed
-- leaves the queue as cancelled; each is, packed, a list of id, reason, cancel_event and result_event.
-- Returns, packed, a word for each: 'queued', 'known' (identical to one that exists) or 'spent' (no budget left).
-- KEYS queue log counts   ARGV candidate_prefix budget several spares
local room, queued, words = math.huge, 0, {}
if ARGV[2] ~= '' then
  room = tonumber(ARGV[2])
  for _, count in ipairs(redis.call('HMGET', KEYS[3], 'queued', 'running', 'analysing', 'measured', 'refused', 'failed')) do
    room = room - tonumber(count or 0)
  end
end
local spares, at = cmsgpack.unpack(ARGV[4]), 0
local function next_spare()
  while at < #spares do
    at = at + 1
    local spare = spares[at]
    local held = redis.call('HMGET', ARGV[1] .. spare[1], 'state', 'attempt', 'again', 'entry')
    if held[1] == 'queued' and held[2] == '1' and held[3] ~= '1' then
      return spare, held[4]
    end
  end
end
local function gives_way(spare, entry)
  redis.call('XDEL', KEYS[1], entry)
  redis.call('HSET', ARGV[1] .. spare[1], 'state', 'settled', 'outcome', 'cancelled', 'cancel', spare[2])
  redis.call('HINCRBY', KEYS[3], 'queued', -1)
  redis.call('HINCRBY', KEYS[3], 'cancelled', 1)
  redis.call('XADD', KEYS[2], '*', 'e', spare[3])
  redis.call('XADD', KEYS[2], '*', 'e', spare[4])
  room = room + 1
end
for number, one in ipairs(cmsgpack.unpack(ARGV[3])) do
  local key, spare, entry = ARGV[1] .. one[1], nil, nil
  local is_known = redis.call('EXISTS', key) == 1
  if not is_known and queued == room and one[5] ~= '' then
    spare, entry = next_spare()
  end
  if is_known then
    words[number] = 'known'
  elseif queued >= room and not spare then
    words[number] = 'spent'
  else
    if one[5] ~= '' then
      redis.call('XADD', KEYS[2], '*', 'e', one[5])
    end
    if spare then
      gives_way(spare, entry)
    end
    local entry = redis.call('XADD', KEYS[1], '*', 'id', one[1], 'attempt', '1', 'queued_s', one[3])
    redis.call('HSET', key, 'candidate', one[2], 'state', 'queued', 'attempt', '1', 'charged', '0', 'losses', '0',
      'queued_s', one[3], 'entry', entry)
    redis.call('XADD', KEYS[2], '*', 'e', one[4])
    queued, words[number] = queued + 1, 'queued'
  end
end
if queued > 0 then
  redis.call('HINCRBY', KEYS[3], 'queued', queued)
end
return cmsgpack.pack(words)
