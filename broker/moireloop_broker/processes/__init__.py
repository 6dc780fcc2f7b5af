"""How a process lives: its loop, its parent, its children, and how it ended (pure)."""
