"""The analyzer service: frames in, observations and results out, early ends (pure)."""
