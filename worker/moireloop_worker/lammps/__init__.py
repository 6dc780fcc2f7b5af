"""Running LAMMPS: commands in, frames and restart files out (pure)."""
