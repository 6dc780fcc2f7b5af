"""How the sites of a layer's lattice are filled, and what a lattice that is not triangular is called (pure)."""
