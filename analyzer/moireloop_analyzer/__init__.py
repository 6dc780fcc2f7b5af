"""From a frame to its layers, their twist and their order (pure)."""

from moireloop_analyzer.twist import TwistEstimate, measure_twist

__all__ = ["TwistEstimate", "measure_twist"]
