"""The broker: relays the log, serves controllers, watches leases, owns the private Redis (pure)."""
