"""The commands of `moireloop`: what each is, takes and says in its help (pure)."""
