"""Workers as jobs of Flux (pure)."""
