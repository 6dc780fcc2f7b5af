-- End an attempt without a final frame: the candidate is queued again, or settled if its attempts are used up.
-- Returns 'queued', 'failed', 'cancelled' or 'stale'.
-- charged is 1 (uses up an attempt), 0 (a loss, of which there may be many) or 2 (not counted at all).
-- first is 2 (given back on request), 1 (lost) or 0 (starts from the beginning).
-- A candidate that can continue from a restart file goes first. One that was lost through no fault of the candidate goes
-- first only every second time, so that a fault of this candidate alone does not keep all others waiting.
-- KEYS candidate log counts leases queue queue_again
-- ARGV id attempt worker charged max_attempts max_losses only_expired queued_s
--      failed_event queued_event failed_result cancelled_result first
redis.replicate_commands()
local held = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'worker', 'charged', 'losses', 'cancel', 'again')
if held[1] ~= 'leased' or held[2] ~= ARGV[2] or held[3] ~= ARGV[3] then
  return 'stale'
end
if ARGV[7] == '1' then
  local time = redis.call('TIME')
  local expires_ms = redis.call('ZSCORE', KEYS[4], ARGV[1])
  if expires_ms and tonumber(expires_ms) > time[1] * 1000 + math.floor(time[2] / 1000) then
    return 'stale'
  end
end
local charged, losses = tonumber(held[4]), tonumber(held[5])
if ARGV[4] == '1' then
  charged = charged + 1
elseif ARGV[4] == '0' then
  losses = losses + 1
end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'running', -1)
redis.call('XADD', KEYS[2], '*', 'e', ARGV[9])
redis.call('HSET', KEYS[1], 'charged', charged, 'losses', losses, 'worker', '')
local outcome, event = 'queued', ARGV[10]
if held[6] then
  outcome, event = 'cancelled', ARGV[12]
elseif charged >= tonumber(ARGV[5]) or losses >= tonumber(ARGV[6]) then
  outcome, event = 'failed', ARGV[11]
end
redis.call('XADD', KEYS[2], '*', 'e', event)
redis.call('HINCRBY', KEYS[3], outcome, 1)
if outcome == 'queued' then
  local attempt = tonumber(ARGV[2]) + 1
  local first = ARGV[13] == '2' or (ARGV[13] == '1' and not (ARGV[4] == '2' and held[7] == '1'))
  local queue = first and KEYS[6] or KEYS[5]
  local entry = redis.call('XADD', queue, '*', 'id', ARGV[1], 'attempt', attempt, 'queued_s', ARGV[8])
  redis.call('HSET', KEYS[1], 'state', 'queued', 'attempt', attempt, 'queued_s', ARGV[8], 'entry', entry,
    'again', first and '1' or '0')
else
  redis.call('HSET', KEYS[1], 'state', 'settled', 'outcome', outcome)
end
return outcome
