"""Search space, strategies and the service that proposes candidates (pure)."""
