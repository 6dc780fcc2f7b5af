"""Measured patterns beside a campaign: their files, the results most like them, what to change (adapter)."""
