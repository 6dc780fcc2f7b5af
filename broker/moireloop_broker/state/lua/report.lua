-- Store what a worker does, with the server's time as the last value of its packed status.
-- KEYS workers   ARGV worker status_without_time
redis.replicate_commands()
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. struct.pack('>Bd', 0xcb, time[1] + time[2] / 1000000))
return 1
