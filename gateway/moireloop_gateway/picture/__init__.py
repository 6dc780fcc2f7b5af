"""What the log tells of a campaign, kept small enough for hundreds of thousands of results (pure)."""
