"""`python -m bench.paper_figures`: redraws the paper's figures and tests its claims."""
