"""The optimizer service: results in, candidates out, fits in its own process (pure)."""
