-- Update the status of a pool, if the stored one is the one that it wrote before, or equals the new one.
-- Returns 1, or 0 if another pool has the name.
-- KEYS pools   ARGV pool before now
local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if there ~= ARGV[2] and there ~= ARGV[3] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
