"""A broad corpus of disturbed bilayers, generated from seeds, each with its true twist."""

from tests.physics.corpus.build import Case, case_of, disturbed_cases, folded
from tests.physics.corpus.plan import FAMILIES

__all__ = ["FAMILIES", "Case", "case_of", "disturbed_cases", "folded"]
