"""How generators of others are made and called: which VOCS and which arguments they get (pure)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from gest_api.vocs import VOCS
from pydantic import ValidationError

from moireloop_broker.contract.search import SearchSpace, Target

OBJECTIVE: Final = "regret_deg"

TWIST: Final = "twist_deg"

SIGMA: Final = "sigma_deg"


class NotAGenerator(TypeError):
    """What a class made has no `suggest` or no `ingest`."""


def vocs_of(space: SearchSpace) -> VOCS:
    """The search space as generators receive it: its ranges, and `regret_deg` to be made small.

    The twist is no observable of it, since generators such as Xopt's fit a model to each observable.

    Raises:
        ValueError: a growth parameter has the name of something that results have.
    """
    taken = {OBJECTIVE, TWIST, SIGMA, "_id"} & set(space.names)
    if taken:
        raise ValueError(f"expected names of growth parameters that no field of a result has, got {', '.join(taken)}")
    ranges = {name: list(ends) for name, ends in space.root.items()}
    return VOCS.model_validate({"variables": ranges, "objectives": {OBJECTIVE: "MINIMIZE"}})


def new_generator(
    generator_class: Callable[..., Any], space: SearchSpace, options: Mapping[str, Any], target: Target, seed: int
) -> Any:
    """A new generator for one target.

    The class is called with `vocs` and the options; where it has parameters of these names, and no option has, with
    `seed`, `target_deg` and `tolerance_deg` as well.

    Raises:
        NotAGenerator: it is called, and the object that it returns has no `suggest` or `ingest`.
        Exception: whatever the class raises.
    """
    offered = {"seed": seed, "target_deg": target.twist_deg, "tolerance_deg": target.tolerance_deg}
    wanted = {name: value for name, value in offered.items() if takes(generator_class, name)}
    generator = generator_class(**{**wanted, **options, "vocs": vocs_of(space)})
    missing = [name for name in ("suggest", "ingest") if not callable(getattr(generator, name, None))]
    if missing:
        raise NotAGenerator(
            f"expected a generator with suggest(num_points) and ingest(results), as in gest-api, got an object of "
            f"type {type(generator).__name__} without {missing[0]}"
        )
    return generator


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function or class has a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def reason_of(error: BaseException) -> str:
    """An error of a user's code in one line."""
    if isinstance(error, NotAGenerator):
        return str(error)
    if isinstance(error, ValidationError):
        each = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        return f"{type(error).__name__}: {'; '.join(each)}"
    return " ".join(f"{type(error).__name__}: {error}".split())
