"""Who takes part in a campaign: pools that join and leave, and signs of life (pure)."""
