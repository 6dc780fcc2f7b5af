"""Cells, distances and neighbourhoods, and how kernels are compiled (pure)."""
