-- Log that the early end of a running attempt is withheld. Only the first time in an attempt counts.
-- Returns 'withheld', 'again' (it is logged already) or 'late' (this attempt is no longer running).
-- KEYS candidate log   ARGV attempt event
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'withheld_attempt')
if held[1] ~= 'leased' or held[2] ~= ARGV[1] then
  return 'late'
end
if held[3] == ARGV[1] then
  return 'again'
end
redis.call('HSET', KEYS[1], 'withheld_attempt', ARGV[1])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
return 'withheld'
