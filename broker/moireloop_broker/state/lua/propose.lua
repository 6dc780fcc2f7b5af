-- Put a new candidate into the queue. Answers 'queued', 'known' (as it is already) or 'spent' (the budget has no room).
-- request_event is '' where nobody outside asked; budget is the most results, or '' where it does not matter.
-- KEYS candidate queue log counts   ARGV id candidate queued_s event request_event budget
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'known'
end
if ARGV[6] ~= '' then
  local held = 0
  for _, count in ipairs(redis.call('HMGET', KEYS[4], 'queued', 'running', 'analysing', 'measured', 'refused', 'failed')) do
    held = held + tonumber(count or 0)
  end
  if held >= tonumber(ARGV[6]) then
    return 'spent'
  end
end
if ARGV[5] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'e', ARGV[5])
end
local entry = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'attempt', '1', 'queued_s', ARGV[3])
redis.call('HSET', KEYS[1], 'candidate', ARGV[2], 'state', 'queued', 'attempt', '1', 'charged', '0', 'losses', '0',
  'queued_s', ARGV[3], 'entry', entry)
redis.call('HINCRBY', KEYS[4], 'queued', 1)
redis.call('XADD', KEYS[3], '*', 'e', ARGV[4])
return 'queued'
