-- Carry out a request about the whole campaign: another state, another section of the settings, or both.
-- Returns 1, or 0 if the campaign is in none of the given states.
-- states are words separated by commas; new_state, section and further_event are '' if there is none.
-- KEYS state settings log   ARGV states new_state section value event further_event
local state = redis.call('GET', KEYS[1])
if not state or not string.find(',' .. ARGV[1] .. ',', ',' .. state .. ',', 1, true) then
  return 0
end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2])
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'e', ARGV[6])
end
return 1
