"""What is stored: every Redis key, and every change of it (pure)."""
