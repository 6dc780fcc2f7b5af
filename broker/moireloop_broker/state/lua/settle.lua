-- Write results of finished candidates and the last points of their series, and delete their final frames.
-- Each of several is, packed, a list of id, attempt, entry, outcome, event, step and point.
-- Returns, packed, for each of them whether its result was written; a candidate that has a result gets no second one.
-- KEYS log counts finals   ARGV group points_kept candidate_prefix final_prefix series_prefix several
local several, entries, frames, written, outcomes, done = cmsgpack.unpack(ARGV[6]), {}, {}, {}, {}, 0
for number, one in ipairs(several) do
  local id, attempt, key = one[1], one[2], ARGV[3] .. one[1]
  entries[number], written[number] = one[3], false
  local held = redis.call('HMGET', key, 'state', 'attempt')
  if held[1] == 'finished' and held[2] == attempt then
    redis.call('HSET', key, 'state', 'settled', 'outcome', one[4], 'report', '')
    local series = ARGV[5] .. id .. ':' .. attempt
    local points = redis.call('ZCARD', series)
    if points > 0 then
      redis.call('ZREMRANGEBYSCORE', series, one[6], one[6])
    end
    redis.call('ZADD', series, one[6], one[7])
    if points >= tonumber(ARGV[2]) then
      redis.call('ZREMRANGEBYRANK', series, 0, -ARGV[2] - 1)
    end
    redis.call('XADD', KEYS[1], '*', 'e', one[5])
    frames[#frames + 1], written[number] = ARGV[4] .. id, true
    outcomes[one[4]] = (outcomes[one[4]] or 0) + 1
    done = done + 1
  end
end
redis.call('XACK', KEYS[3], ARGV[1], unpack(entries))
redis.call('XDEL', KEYS[3], unpack(entries))
if done > 0 then
  redis.call('DEL', unpack(frames))
  redis.call('HINCRBY', KEYS[2], 'analysing', -done)
  for outcome, number in pairs(outcomes) do
    redis.call('HINCRBY', KEYS[2], outcome, number)
  end
end
return cmsgpack.pack(written)
