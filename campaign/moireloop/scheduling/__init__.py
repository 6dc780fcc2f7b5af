"""Allocations of schedulers: when one ends, and scripts that chain them (pure)."""
