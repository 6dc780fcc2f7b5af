"""A campaign's picture from its log, small enough for hundreds of thousands of results (pure)."""
