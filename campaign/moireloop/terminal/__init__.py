"""What the terminal shows (pure)."""
