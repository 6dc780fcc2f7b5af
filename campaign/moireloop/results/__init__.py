"""What a campaign came to: results, recipes, trajectories, and their tables (pure)."""
