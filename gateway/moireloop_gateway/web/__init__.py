"""What the gateway gives over HTTP: JSON, server-sent events, metrics and the dashboard's files (pure)."""
