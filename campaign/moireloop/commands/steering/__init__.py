"""Commands that ask something of a running campaign (pure)."""
