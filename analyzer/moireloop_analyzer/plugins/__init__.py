"""Further analyzers, the shipped ones and a user's own: found, tried, and run outside the service (pure)."""
