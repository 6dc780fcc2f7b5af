"""The default strategy: a model of the twist itself (pure)."""
