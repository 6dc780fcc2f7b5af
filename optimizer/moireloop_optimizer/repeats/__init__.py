"""How surely a recipe hits, and which to run again (pure)."""
