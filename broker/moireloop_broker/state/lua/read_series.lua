-- Read the series of attempts, one after another, until they have so many bytes: the first one whatever it has.
-- Returns, packed, the points of each that was read, by step.
-- KEYS series   ARGV others most_bytes
local found, bytes, most = {redis.call('ZRANGE', KEYS[1], 0, -1)}, 0, tonumber(ARGV[2])
for _, point in ipairs(found[1]) do
  bytes = bytes + #point
end
for _, key in ipairs(cmsgpack.unpack(ARGV[1])) do
  if bytes >= most then
    break
  end
  local points = redis.call('ZRANGE', key, 0, -1)
  for _, point in ipairs(points) do
    bytes = bytes + #point
  end
  found[#found + 1] = points
end
return cmsgpack.pack(found)
