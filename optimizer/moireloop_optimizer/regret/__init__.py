"""The paper's strategies: a model of the regret (pure)."""
