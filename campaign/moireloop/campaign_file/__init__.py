"""Reading and checking the campaign file (pure)."""
