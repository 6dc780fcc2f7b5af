-- Put new candidates into the queue, in their order.
-- Each of several is, packed, a list of id, packed candidate, queued_s, event and request_event ('' where nobody outside asked).
-- budget is the most results, or '' where it does not matter.
-- Answers, packed, a word for each: 'queued', 'known' (as it is already) or 'spent' (the budget has no room).
-- KEYS queue log counts   ARGV candidate_prefix budget several
local room, queued, words = math.huge, 0, {}
if ARGV[2] ~= '' then
  room = tonumber(ARGV[2])
  for _, count in ipairs(redis.call('HMGET', KEYS[3], 'queued', 'running', 'analysing', 'measured', 'refused', 'failed')) do
    room = room - tonumber(count or 0)
  end
end
for number, one in ipairs(cmsgpack.unpack(ARGV[3])) do
  local key = ARGV[1] .. one[1]
  if redis.call('EXISTS', key) == 1 then
    words[number] = 'known'
  elseif queued >= room then
    words[number] = 'spent'
  else
    if one[5] ~= '' then
      redis.call('XADD', KEYS[2], '*', 'e', one[5])
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
