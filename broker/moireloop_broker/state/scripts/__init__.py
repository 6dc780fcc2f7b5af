"""The atomic state changes (adapter): Lua scripts that change a state and write its event in one step.

A script that runs again with the same arguments, as after a lost connection, changes nothing more. The one exception is
an observation of an attempt that was never started: it has no series and is published again. KEYS and ARGV of the
scripts in `lua/` have names and types here; times are in seconds since the epoch, packed messages are bytes.
"""
