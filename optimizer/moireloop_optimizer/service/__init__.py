"""The optimizer service: results in, candidates out, fits in a process of its own (pure)."""
