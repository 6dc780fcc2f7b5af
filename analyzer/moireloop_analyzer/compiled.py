"""The one way in which functions of this package are compiled to machine code (pure).

A compiled function calls no compiled function of another module: numba looks only at the file that a function stands
in to tell whether what it kept on disk is still good, so a callee changed elsewhere would go on running as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, cast

import numba

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function compiled at its first call for the types of its arguments, and kept on disk for the next process.

    One thread, no bounds checks, IEEE arithmetic (so that a NaN stays one) but for fused multiply-adds. Where neither
    the folder of the package nor the user's cache can be written to, every process compiles for itself.
    """
    try:
        return _jitted(function, kept=True)
    except RuntimeError:  # numba finds no place for its cache
        log.warning("kernels are compiled anew by every process function=%s", function.__name__)
        return _jitted(function, kept=False)


def _jitted(function: Function, *, kept: bool) -> Function:
    return cast(Function, numba.njit(cache=kept, nogil=True, fastmath={"contract"}, error_model="numpy")(function))
