"""What each address returns, a module for each topic; `table` has all of them by name (pure)."""
