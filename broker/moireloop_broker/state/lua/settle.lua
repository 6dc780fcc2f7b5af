-- Write the result of a finished candidate and the last point of its series, and let go of its final frame.
-- Answers 1, or 0 when it has a result already.
-- KEYS candidate log counts finals final_frame series
-- ARGV attempt entry group outcome event step point points_kept
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt')
redis.call('XACK', KEYS[4], ARGV[3], ARGV[2])
redis.call('XDEL', KEYS[4], ARGV[2])
if held[1] ~= 'finished' or held[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'settled', 'outcome', ARGV[4])
redis.call('HDEL', KEYS[1], 'report')
redis.call('DEL', KEYS[5])
redis.call('ZREMRANGEBYSCORE', KEYS[6], ARGV[6], ARGV[6])
redis.call('ZADD', KEYS[6], ARGV[6], ARGV[7])
redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -ARGV[8] - 1)
redis.call('HINCRBY', KEYS[3], 'analysing', -1)
redis.call('HINCRBY', KEYS[3], ARGV[4], 1)
redis.call('XADD', KEYS[2], '*', 'e', ARGV[5])
return 1
