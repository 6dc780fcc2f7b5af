"""What is said: every message by its kind, and the words that all packages share (pure)."""
