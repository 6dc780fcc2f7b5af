"""Patterns need no kernels: nothing is compiled for them."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """In the place of the fixture that compiles all kernels before a test of the analyzer."""


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20261130)
