"""Workers as steps of a Slurm job (pure)."""
