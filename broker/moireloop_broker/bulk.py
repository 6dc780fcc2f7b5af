"""Making very many objects at once (pure)."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def many_objects() -> Iterator[None]:
    """Around what makes a hundred thousand objects that stay, without Python's search for reference cycles.

    The search goes over all objects again and again while they grow in number, which takes longer than making them
    (docs.python.org, gc). It also is a decorator.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
