"""A broad corpus of disturbed bilayers, generated from seeds, each with its true twist, and of frames without one."""

from tests.physics.corpus.build import Case, case_of, disturbed_cases, folded
from tests.physics.corpus.plan import FAMILIES
from tests.physics.corpus.refusals import REFUSALS, refusal_cases, refusal_of

__all__ = [
    "FAMILIES",
    "REFUSALS",
    "Case",
    "case_of",
    "disturbed_cases",
    "folded",
    "refusal_cases",
    "refusal_of",
]
