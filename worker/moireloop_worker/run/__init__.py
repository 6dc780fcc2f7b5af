"""One run of a candidate, from its lease to its final frame (pure)."""
