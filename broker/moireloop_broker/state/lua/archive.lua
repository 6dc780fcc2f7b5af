-- Note a part of the log that is a file now, and drop its events: only the oldest ones, all of them published.
-- KEYS log archived relay   ARGV name_of_log first last following part newest
local newest = redis.call('LINDEX', KEYS[2], -1) or ''
if newest == ARGV[5] then
  return 'archived'
elseif newest ~= ARGV[6] then
  return 'other'
end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest or oldest[1] ~= ARGV[2] or #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then
  return 'gone'
end
local published = redis.call('HGET', KEYS[3], ARGV[1]) or '0-0'
local published_ms, published_number = string.match(published, '(%d+)-(%d+)')
local last_ms, last_number = string.match(ARGV[3], '(%d+)-(%d+)')
local ahead_ms = tonumber(last_ms) - tonumber(published_ms)
if ahead_ms > 0 or (ahead_ms == 0 and tonumber(last_number) > tonumber(published_number)) then
  return 'unpublished'
end
if redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1] == ARGV[3] then
  return 'newest'
end
redis.call('RPUSH', KEYS[2], ARGV[5])
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[4])
return 'archived'
