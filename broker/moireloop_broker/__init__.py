"""Wire contract, ZeroMQ streams, Redis state and the broker service (pure)."""
