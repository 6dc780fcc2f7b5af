"""The gateway: campaigns over HTTP, for browsers, programs and Prometheus, through the client alone (pure)."""
