-- Change the campaign's state and log it. Returns 1, or 0 if the campaign is in that state already.
-- KEYS state log   ARGV state event
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
return 1
