"""The error of a pattern that cannot be read or compared (pure)."""

from __future__ import annotations


class PatternRefused(ValueError):
    """A file of a pattern, or what was said of it, cannot be used; the text says what, where and how to mend it."""
