"""The gateway: campaigns over HTTP, for browsers, programs and Prometheus, only through the client (pure)."""
