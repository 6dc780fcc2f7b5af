"""One plug-in of each kind for moireloop: a growth model, an analyzer, a strategy and a launcher."""
