"""Settings of the optimizer: section [optimizer] of the campaign file (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationInfo

from moireloop_optimizer.strategy_names import DEFAULT_STRATEGY, generator_place


def _with_whole_path(strategy: str, info: ValidationInfo) -> str:
    """A file is absolute; a relative one is relative to the folder `beside` of the validation's context, if any."""
    place, beside = generator_place(strategy), (info.context or {}).get("beside")
    if place.file is None or beside is None:
        return strategy
    try:
        return f"{(Path(beside) / place.file.expanduser()).resolve()}:{place.name}"
    except (OSError, RuntimeError) as error:
        raise ValueError(f"expected a path, got {str(place.file)!r}: {error}") from error


def _without_huge_integers(options: dict[str, Any]) -> dict[str, Any]:
    """What messages can hold: MessagePack has integers of 64 bits."""
    for name, value in options.items():
        if any(isinstance(one, int) and not -(2**63) <= one < 2**63 for one in _leaves(value)):
            raise ValueError(f"{name}: expected integers of at most 64 bits, got a larger one")
    return options


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inside)
    else:
        yield value


StrategyText = Annotated[str, AfterValidator(_with_whole_path)]


class OptimizerSettings(BaseModel):
    """How the next candidates are chosen: section [optimizer]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: StrategyText = Field(
        default=DEFAULT_STRATEGY,
        description="How candidates are chosen: auto (where a hit is likeliest), the paper's qei (expected "
        "improvement) and thompson (posterior samples), random (a scrambled Sobol sequence), none (controllers "
        "propose all candidates), or your own or a package's generator: file.py:Class, package.module:Class.",
    )
    options: Annotated[dict[str, Any], AfterValidator(_without_huge_integers)] = Field(
        default={}, description="Keyword arguments for the class of such a generator, as a table [optimizer.options]."
    )
    suggest_s: FiniteFloat = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Seconds that such a generator may take for one suggestion; after that it is stopped, and a "
        "Sobol point is used.",
    )
    mode: Literal["async", "batch"] = Field(
        default="async",
        description="async keeps the queue a little fuller than the free workers; batch proposes n_batch at "
        "a time and waits for all of their results.",
    )
    n_batch: int = Field(default=15, ge=1, le=10_000, description="Candidates in one batch; used by mode batch only.")
    initial: int = Field(
        default=6,
        ge=1,
        le=100_000,
        description="Candidates of the initial design, a Sobol sequence, proposed before the model is used.",
    )
    replicates: int = Field(
        default=4,
        ge=0,
        le=1000,
        description="Replicates, with other seeds, of each recipe that hit a target, to measure its hit probability; "
        "0 for none.",
    )
    learn_from_patterns: bool = Field(
        default=False,
        description="Whether auto also learns from measured patterns that have the growth parameters of the search "
        "space, as growths that differ from the simulation by a learnt discrepancy.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        description="Seed of the campaign: with it, the same order of results gives the same candidates.",
    )
    threads: int = Field(
        default=1, ge=1, le=256, description="Threads of the process that fits the model; it runs at nice 10."
    )
