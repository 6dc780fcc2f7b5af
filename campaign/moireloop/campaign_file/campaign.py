"""The campaign as its file describes it: data, nothing else (pure)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from moireloop_analyzer.diffraction_settings import DiffractionSettings
from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_broker.contract.message import Identifier
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steered import Steered
from moireloop_broker.settings import ArchiveSettings, FrameSettings, NetworkSettings, RedisSettings
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models.settings import GrowthSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings


class Campaign(BaseModel):
    """One search, as a campaign file describes it. Each section is the settings of one package."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier = Field(description="name of the campaign: letters, digits, '_', '.', '-', at most 64")
    folder: Path = Field(description="folder of the campaign; by default <file>.campaign beside the file")
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=32)] = Field(
        description="wanted twists, one [[targets]] each"
    )
    space: SearchSpace = Field(description="[space]: name = [low, high] for each growth parameter")
    budget: BudgetSettings = Field(description="[budget]: when the search ends")
    growth: GrowthSettings = Field(description="[growth]: the growth model and its numbers")
    workers: PoolSettings = Field(description="[workers]: how many, how wide, how started")
    lammps: LammpsSettings = Field(default=LammpsSettings(), description="[lammps]: a site's own build and its options")
    frames: FrameSettings = Field(default=FrameSettings(), description="[frames]: what streams to the analyzers")
    analyzers: AnalyzerSettings = Field(
        default=AnalyzerSettings(), description="[analyzers]: how many, and what counts as crystalline"
    )
    early_end: EarlyEndSettings = Field(
        default=EarlyEndSettings(), description="[early_end]: when a run ends before its schedule"
    )
    diffraction: DiffractionSettings = Field(
        default=DiffractionSettings(), description="[diffraction]: the experiments that structures are seen by"
    )
    optimizer: OptimizerSettings = Field(
        default=OptimizerSettings(), description="[optimizer]: how the next candidates are chosen"
    )
    archive: ArchiveSettings = Field(
        default=ArchiveSettings(), description="[archive]: how much of the event log stays in Redis"
    )
    redis: RedisSettings = Field(default=RedisSettings(), description="[redis]: your own server")
    network: NetworkSettings = Field(default=NetworkSettings(), description="[network]: where sockets listen")

    def after(self, steered: Steered) -> Self:
        """The campaign as requests have made it: targets, search space and budget may be others than in the file."""
        now = {
            "targets": steered.targets or self.targets,
            "space": steered.space(self.space),
            "budget": steered.budget(self.budget),
        }
        return self.model_copy(update=now)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value of each growth parameter."""
        return {name: (low, high) for name, (low, high) in self.space.root.items()}
