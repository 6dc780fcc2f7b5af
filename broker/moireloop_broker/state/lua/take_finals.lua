-- Hand finished runs that no analyzer has had to one: up to so many, and no more once their frames fill so many bytes.
-- Answers of each its entry, id and attempt, its frame ('' where that is larger than all may be), and of its candidate the packed
-- candidate and report, when it was queued and leased, and why its early end was ordered ('' where it was not).
-- KEYS finals   ARGV group analyzer count most_bytes candidate_prefix final_prefix
redis.replicate_commands()
local runs, bytes = {}, 0
for _ = 1, tonumber(ARGV[3]) do
  local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not read then
    break
  end
  local entry, fields = read[1][2][1][1], {}
  for at = 1, #read[1][2][1][2], 2 do
    fields[read[1][2][1][2][at]] = read[1][2][1][2][at + 1]
  end
  local id = fields['id']
  local held = redis.call('HMGET', ARGV[5] .. id, 'state', 'attempt', 'candidate', 'report', 'queued_s', 'leased_s',
    'order_attempt', 'order_reason')
  local size = redis.call('STRLEN', ARGV[6] .. id)
  if held[1] ~= 'finished' or size == 0 then
    redis.call('XACK', KEYS[1], ARGV[1], entry)
    redis.call('XDEL', KEYS[1], entry)
  else
    local frame = size <= tonumber(ARGV[4]) and redis.call('GET', ARGV[6] .. id) or ''
    local reason = held[7] == held[2] and held[8] or ''
    runs[#runs + 1] = {entry, id, fields['attempt'], frame, held[3], held[4], held[5], held[6] or '', reason}
    bytes = bytes + size
  end
  if bytes >= tonumber(ARGV[4]) then
    break
  end
end
return runs
