"""Commands before a campaign runs: checking its file, its cells, a job script for it (pure)."""
