"""The atomic state changes (adapter): Lua scripts that change a state and write its event in one step.

Every script may run twice with the same arguments, as after a lost connection, and then changes nothing more. Only an
observation of an attempt that nobody began, which has no series, is then published again. What the scripts in `lua/`
call KEYS and ARGV has a name and a type here; times are in seconds since the epoch, packed messages are bytes.
"""
