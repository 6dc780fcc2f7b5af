"""`python -m bench.seed_figures`: the figures of the seed's paper drawn anew, and which of its claims hold here."""
