"""Functions of the LAMMPS library beyond its Python module, or cheaper than through it (adapter)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


def library_function(library: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A C function of the library that takes the instance's handle first; `result` and `arguments` as ctypes."""
    call: Callable[..., Any] = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)((name, library))
    return call
