"""The services of a session: started here, or elsewhere by themselves (pure)."""
