"""Controllers in Python (pure)."""
