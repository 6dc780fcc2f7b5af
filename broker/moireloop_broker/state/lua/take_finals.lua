-- Hand finished runs that no analyzer has taken to one: limited in number and in bytes of frames.
-- The first one shows how large frames are: all frames of a campaign are alike. A frame that exceeds what is left of the
-- bytes, or the limit itself, is '' and is read separately.
-- Returns, packed, for each its entry, id, attempt and frame, the packed candidate and report, when it was queued and
-- leased, and why its early end was ordered ('' if it was not).
-- KEYS finals   ARGV group analyzer count most_bytes candidate_prefix final_prefix
redis.replicate_commands()
local runs, bytes, most, left, at_once = {}, 0, tonumber(ARGV[4]), tonumber(ARGV[3]), 1
while left > 0 and bytes < most do
  local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', at_once, 'STREAMS', KEYS[1], '>')
  if not read then
    break
  end
  for _, row in ipairs(read[1][2]) do
    local entry, fields = row[1], {}
    for at = 1, #row[2], 2 do
      fields[row[2][at]] = row[2][at + 1]
    end
    local id = fields['id']
    local held = redis.call('HMGET', ARGV[5] .. id, 'state', 'attempt', 'candidate', 'report', 'queued_s', 'leased_s',
      'order_attempt', 'order_reason')
    local size = tonumber(fields['bytes'] or redis.call('STRLEN', ARGV[6] .. id))
    local frame = size <= most - (#runs > 0 and bytes or 0) and redis.call('GET', ARGV[6] .. id) or ''
    if held[1] ~= 'finished' or frame == false or size == 0 then
      redis.call('XACK', KEYS[1], ARGV[1], entry)
      redis.call('XDEL', KEYS[1], entry)
    else
      local reason = held[7] == held[2] and held[8] or ''
      runs[#runs + 1] = {entry, id, fields['attempt'], frame, held[3], held[4], held[5], held[6] or '', reason}
      bytes = bytes + size
    end
  end
  left = left - #read[1][2]
  at_once = math.max(1, math.min(left, math.floor((most - bytes) * #runs / math.max(bytes, 1))))
end
return cmsgpack.pack(runs)
