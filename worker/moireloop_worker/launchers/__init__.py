"""Starts a worker where it will run, and finds out how it ended (pure)."""
