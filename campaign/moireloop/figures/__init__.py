"""The figures of a campaign and of a single run (pure)."""
