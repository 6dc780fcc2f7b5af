"""A broad corpus of disturbed bilayers, generated from seeds, each with its true twist, and of frames without one."""

from tests.helpers.corpus.build import Case, case_of, disturbed_cases, folded
from tests.helpers.corpus.plan import FAMILIES
from tests.helpers.corpus.refusals import REFUSALS, refusal_cases, refusal_of

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
