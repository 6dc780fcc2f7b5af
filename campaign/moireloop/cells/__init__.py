"""Which twists the layers of a periodic cell can have, and which cells admit a target (pure)."""
