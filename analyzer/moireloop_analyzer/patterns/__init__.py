"""Measured diffraction patterns: peaks, the two lattices behind them, and how far patterns are apart (pure)."""
