"""Moving older events of the log from Redis to files, beside everything else (pure)."""
