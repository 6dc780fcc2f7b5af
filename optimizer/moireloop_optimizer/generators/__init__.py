"""Strategies of others in ours, and ours in theirs, by the gest-api standard (pure)."""
