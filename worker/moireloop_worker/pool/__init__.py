"""Keeping workers alive: when one is started, stopped or given up (pure)."""
