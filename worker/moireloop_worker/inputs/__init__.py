"""What a LAMMPS input says: its words and variables, what it may not say, what a restart file needs of it (pure)."""
