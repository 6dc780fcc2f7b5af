-- Return an entry that was handed out but never leased to the queue that it came from.
-- KEYS candidate queue   ARGV id attempt entry group
redis.call('XACK', KEYS[2], ARGV[4], ARGV[3])
if redis.call('XDEL', KEYS[2], ARGV[3]) == 0 then
  return 0
end
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'queued_s')
if held[1] ~= 'queued' or held[2] ~= ARGV[2] then
  return 0
end
local entry = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'attempt', ARGV[2], 'queued_s', held[3])
redis.call('HSET', KEYS[1], 'entry', entry)
return 1
