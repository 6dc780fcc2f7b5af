-- Log a measured pattern. Returns 'logged', 'known' (this measurement is logged), 'other' (another one has its id)
-- or 'full' (there are `most` already), and the id of the event.
-- KEYS patterns log   ARGV id digest event most
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  local digest, entry = string.match(held, '^(%S+) (%S+)$')
  return {digest == ARGV[2] and 'known' or 'other', entry}
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return {'full', ''}
end
local entry = redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. entry)
return {'logged', entry}
