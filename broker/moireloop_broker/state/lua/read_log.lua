-- Read the log after an id: at most so many entries and about so many bytes. Events of other tags are passed over where
-- their first bytes name them: an event begins with its tag, as a MessagePack string with its length before it.
-- Returns, packed, the newest part of the archive ('' without one), whether there is an entry of the id (1 or 0), whether
-- the log has no more (1 or 0), the id of the last entry that was looked at, then id and event of those that were not
-- passed over by turns.
-- The key `archived` is an argument: roles may only read it, and Redis takes a key among KEYS as one to be written.
-- KEYS log   ARGV after count most_bytes tags archived
local after, left, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 0
local found = {redis.call('LRANGE', ARGV[5], -1, -1)[1] or '', #redis.call('XRANGE', KEYS[1], after, after), 0, after}
while left > 0 and bytes < most do
  local asked = math.min(left, 100)
  local rows = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', asked)
  for _, row in ipairs(rows) do
    local fields, body = row[2], ''
    for at = 1, #fields, 2 do
      if fields[at] == 'e' then
        body = fields[at + 1]
        break
      end
    end
    local head = string.byte(body, 1)
    local start = head == 222 and 4 or head == 223 and 6 or 2
    local length = string.byte(body, start + 4) or 0
    local is_plain = string.sub(body, start, start + 3) == '\163tag' and length >= 160 and length < 192
    local tag = is_plain and string.sub(body, start + 5, start + 4 + length - 160)
    if ARGV[4] == '' or not tag or string.find(ARGV[4], ' ' .. tag .. ' ', 1, true) then
      found[#found + 1] = row[1]
      found[#found + 1] = body
      bytes = bytes + #body
    end
    after = row[1]
  end
  left = left - #rows
  if #rows < asked then
    found[3] = 1
    break
  end
end
found[4] = after
return cmsgpack.pack(found)
