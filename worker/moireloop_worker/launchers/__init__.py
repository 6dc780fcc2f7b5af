"""Starting a worker where it shall run, and telling how it ended (pure)."""
