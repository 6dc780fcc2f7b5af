"""Fixtures of the physics tests."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.kernels import compiled_kernels

__all__ = ["compiled_kernels"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240917)
