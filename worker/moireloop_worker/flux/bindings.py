"""Flux's Python bindings: a site's own on PYTHONPATH, else `flux-python`; imported when needed (adapter)."""

from __future__ import annotations

import shutil
from typing import Any

from moireloop_worker.launchers.launcher import CannotLaunch

HOW_TO_GET_THEM = (
    "put the site's own on PYTHONPATH (`flux env printenv PYTHONPATH` shows where they are; they need cffi, ply and "
    "pyyaml), or install moireloop[flux]"
)


def flux_bindings() -> Any:
    """The module `flux`, with `flux.job` and `flux.resource`. Raises CannotLaunch."""
    try:
        import flux
        import flux.job
        import flux.resource
    except (ImportError, OSError) as error:
        place = "which is on the PATH" if shutil.which("flux") else "which is not on the PATH either"
        raise CannotLaunch(
            f"expected Python bindings of Flux, {place}: {str(error).splitlines()[0]}; {HOW_TO_GET_THEM}"
        ) from error
    if not hasattr(flux, "Flux"):
        raise CannotLaunch(f"expected Python bindings of Flux, got {flux.__path__}; {HOW_TO_GET_THEM}")
    return flux


def open_flux() -> Any:
    """A new handle of the Flux instance that FLUX_URI names, or of the system's. Raises CannotLaunch."""
    flux = flux_bindings()
    try:
        return flux.Flux()
    except OSError as error:
        raise CannotLaunch(
            f"expected a Flux instance (in an allocation of Flux, or under `flux start`): {error}"
        ) from error
