"""How sure it is that a run has its final twist already, learnt from runs that went to their full end (pure)."""
