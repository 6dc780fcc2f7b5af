-- Move a queued candidate to a place in the queue, 1 being the next: entries from that place on are queued again.
-- Returns 'moved', 'unknown', or 'late' if the candidate is not (or no longer) queued.
-- An entry that was handed to a worker but is not leased yet stays where it is.
-- Entries of both queues written in the same millisecond have the same id, so the candidate says which one is its own.
-- KEYS candidate queue_again queue log   ARGV place group candidate_prefix event
local held = redis.call('HMGET', KEYS[1], 'state', 'entry', 'again')
if not held[1] then
  return 'unknown'
end
local mine, mine_in = nil, held[3] == '1' and KEYS[2] or KEYS[3]
local function waiting_in(stream)
  local handed, waiting = {}, {}
  for _, row in ipairs(redis.call('XPENDING', stream, ARGV[2], '-', '+', 10000)) do
    handed[row[1]] = true
  end
  for _, row in ipairs(redis.call('XRANGE', stream, '-', '+')) do
    if stream == mine_in and row[1] == held[2] and not handed[row[1]] then
      mine = row
    elseif not handed[row[1]] then
      waiting[#waiting + 1] = row
    end
  end
  return waiting
end
local first, then_ = waiting_in(KEYS[2]), waiting_in(KEYS[3])
if held[1] ~= 'queued' or not mine then
  return 'late'
end
local stream, waiting, place, again = KEYS[2], first, tonumber(ARGV[1]), '1'
if place > #first + 1 then
  stream, waiting, again = KEYS[3], then_, '0'
  place = math.min(place - #first, #then_ + 1)
end
table.insert(waiting, place, mine)
for number = place, #waiting do
  local row = waiting[number]
  redis.call('XDEL', row == mine and mine_in or stream, row[1])
  local entry = redis.call('XADD', stream, '*', unpack(row[2]))
  for at = 1, #row[2], 2 do
    if row[2][at] == 'id' then
      redis.call('HSET', ARGV[3] .. row[2][at + 1], 'entry', entry, 'again', again)
    end
  end
end
redis.call('XADD', KEYS[4], '*', 'e', ARGV[4])
return 'moved'
