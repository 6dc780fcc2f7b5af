"""Further analyzers, the shipped ones and a user's own: found, tried, and run beside the service (pure)."""
