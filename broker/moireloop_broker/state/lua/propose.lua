-- Put a new candidate into the queue. Answers 1, or 0 when the candidate is known already.
-- KEYS candidate queue log counts   ARGV id candidate queued_s event
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local entry = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'attempt', '1', 'queued_s', ARGV[3])
redis.call('HSET', KEYS[1], 'candidate', ARGV[2], 'state', 'queued', 'attempt', '1', 'charged', '0', 'losses', '0',
  'queued_s', ARGV[3], 'entry', entry)
redis.call('HINCRBY', KEYS[4], 'queued', 1)
redis.call('XADD', KEYS[3], '*', 'e', ARGV[4])
return 1
