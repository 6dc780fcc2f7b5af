"""The lattices of a pattern: found one by one, fitted together, and the satellites between them (pure)."""
