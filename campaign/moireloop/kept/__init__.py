"""Results of a running session, kept small: packed, and as columns of numbers (pure)."""
