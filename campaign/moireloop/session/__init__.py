"""One session of a campaign: its folder and lock, its services, its end (pure)."""
