"""Pair correlation, coordination and diffraction (pure)."""
