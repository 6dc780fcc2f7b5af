"""`python -m bench.paper_figures`: the figures of the paper's paper redrawn, and which of its claims hold here."""
