"""Fitting a layer's lattice, whole or in grains, with its uncertainty (pure)."""
