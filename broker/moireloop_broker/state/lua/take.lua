-- Hand the first entry that waits to a worker: of those that were begun before, then of all others.
-- Answers the number of its stream, its id and its fields; nothing where none waits.
-- KEYS queue_again queue   ARGV group worker
redis.replicate_commands()
for number, queue in ipairs({KEYS[1], KEYS[2]}) do
  local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', queue, '>')
  if read then
    local entry = read[1][2][1]
    return {number, entry[1], entry[2]}
  end
end
return false
