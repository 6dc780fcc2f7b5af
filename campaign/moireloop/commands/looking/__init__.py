"""Commands that show how a campaign stands and what it found, as text, tables and figures (pure)."""
