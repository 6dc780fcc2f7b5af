"""The error of a pattern that cannot be read or compared (pure)."""

from __future__ import annotations


class PatternRefused(ValueError):
    """A pattern's file, or an option for it, cannot be used; the text says what, where and how to fix it."""
