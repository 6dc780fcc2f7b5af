"""What each layer is: its crystal with all its grains, its rows of atoms, its stacking (pure)."""
