"""Measured patterns compared with a campaign: their files, the most similar results, what to change (adapter)."""
