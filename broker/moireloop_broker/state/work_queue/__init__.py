"""The work queue (adapter): candidates, leases and attempts in Redis, for proposers and workers.

A candidate is queued, leased by a worker, finished (its final frame kept) and settled (its result in the log). Each
step is one Lua script that changes the state and writes the event. Steps of an attempt that is no longer
current are refused. So a candidate gets exactly one result, whatever dies when.
"""
