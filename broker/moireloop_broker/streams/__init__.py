"""What flows: frames and their parts over ZeroMQ, and the keys of who may connect (pure)."""
