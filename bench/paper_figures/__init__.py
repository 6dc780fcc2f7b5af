"""`python -m bench.paper_figures`: the figures of the paper's paper drawn anew, and which of its claims hold here."""
