"""Kernels are compiled once for all tests below."""

from __future__ import annotations

from tests.helpers.kernels import compiled_kernels

__all__ = ["compiled_kernels"]
