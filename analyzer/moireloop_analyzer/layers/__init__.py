"""Which atoms form which layer, and the order and directions of their bonds (pure)."""
