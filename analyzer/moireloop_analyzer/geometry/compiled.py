"""The one way in which functions of this package are compiled to machine code (pure)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function compiled at its first call for the types of its arguments, and kept on disk for the next process.

    One thread, no bounds checks, IEEE arithmetic (a NaN stays one) except for fused multiply-adds. Where neither the
    package's folder nor the user's cache is writable, every process compiles for itself.
    """
    kernel: Any = numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")(function)
    try:
        kernel._cache = _KeptOnDisk(function)
    except RuntimeError:  # numba finds no place for its cache
        log.warning("every process compiles the kernels again function=%s", function.__name__)
    return cast(Function, kernel)


def _digest_of(folder: Path) -> str:
    """Of the names and texts of the modules in a folder and in all folders below it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


SOURCES: Final = _digest_of(Path(__file__).parents[1])


class _KeptOnDisk(FunctionCache):
    """Numba's cache of a function, good for as long as no module of this package is changed.

    Numba itself looks only at the file that a function stands in, so that a callee or a constant changed elsewhere
    would keep running as it was.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            self._cache_path, self._impl.filename_base, source_stamp=SOURCES
        )
