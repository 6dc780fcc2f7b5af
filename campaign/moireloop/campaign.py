"""A campaign in Python, as `moireloop.Campaign`: checked as a file is, run from a script or notebook (adapter)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from moireloop.campaign_file import campaign
from moireloop.campaign_file.errors import CampaignFileError, as_lines
from moireloop.campaign_file.load import parsed
from moireloop.campaign_file.origin import absolute_folder
from moireloop.campaign_file.toml_text import toml_text
from moireloop.client.running import CampaignRun, Outcome, Purpose, StartRequest, start
from moireloop_analyzer.diffraction_settings import DiffractionSettings
from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.problems import Problem
from moireloop_broker.settings import ArchiveSettings, FrameSettings, NetworkSettings, RedisSettings
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models.settings import GrowthSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings

NAME: Final = "Campaign"
"""What the lines of an error begin with, instead of the campaign file."""

Table = Mapping[str, Any]


class Campaign(campaign.Campaign):
    """One search. Its sections are a campaign file's, each as a table or a settings object.

    Relative paths of files are relative to the current folder, and so is `folder`, by default `NAME.campaign`.

    Raises:
        CampaignFileError: a section is wrong; a line for each error, as for a campaign file.
    """

    def __init__(
        self,
        *,
        name: str,
        targets: Sequence[Target | Table],
        space: SearchSpace | Mapping[str, Sequence[float]],
        budget: BudgetSettings | Table,
        growth: GrowthSettings | Table,
        workers: PoolSettings | Table,
        folder: Path | str | None = None,
        lammps: LammpsSettings | Table | None = None,
        frames: FrameSettings | Table | None = None,
        analyzers: AnalyzerSettings | Table | None = None,
        early_end: EarlyEndSettings | Table | None = None,
        diffraction: DiffractionSettings | Table | None = None,
        optimizer: OptimizerSettings | Table | None = None,
        archive: ArchiveSettings | Table | None = None,
        redis: RedisSettings | Table | None = None,
        network: NetworkSettings | Table | None = None,
    ) -> None:
        sections = {
            "name": name, "targets": targets, "space": space, "budget": budget, "growth": growth, "workers": workers,
            "lammps": lammps, "frames": frames, "analyzers": analyzers, "early_end": early_end,
            "diffraction": diffraction, "optimizer": optimizer, "archive": archive, "redis": redis, "network": network,
        }  # fmt: skip
        document = _plain({section: value for section, value in sections.items() if value is not None})
        problems = [Problem(key, "expected a value that TOML has, got None") for key in _nones(document)]
        if isinstance(folder, bytes | bytearray):  # which pydantic takes for a path
            problems.append(Problem("folder", f"expected a text or a pathlib.Path, got {folder!r}"))
        if problems:
            raise CampaignFileError(as_lines(NAME, problems))
        place = folder if folder is not None else f"{name}.campaign"
        if isinstance(place, str | Path):
            place = str(absolute_folder(str(place), Path.cwd(), NAME))
        checked = parsed(document | {"folder": place}, NAME, beside=Path.cwd())
        super().__init__(**{field: getattr(checked, field) for field in checked.model_fields_set})

    def toml(self) -> str:
        """The text of a campaign file that describes this campaign, without its folder; paths in it are absolute."""
        document = self.model_dump(mode="json", exclude={"folder"}, exclude_unset=True, exclude_none=True)
        document["growth"] = {"model": self.growth.model, **document["growth"]}
        return toml_text(document)

    def start(self, *, fresh: bool = False, resume: bool = False, figures: bool = True) -> CampaignRun:
        """Start the campaign in a separate process, as `moireloop run` does, once it has passed all checks.

        The process does not outlive this one. When this one ends, the campaign drains and can be resumed.

        Args:
            fresh: first remove what an earlier campaign left in the folder.
            resume: continue the campaign in the folder, also with changed bounds, budget or targets.
            figures: draw figures at the end, beside the tables; `moireloop figures` draws them at any time.

        Raises:
            CampaignFileError: the campaign cannot be run here, or was started before.
            CampaignIsRunning: another process runs it.
        """
        if fresh and resume:
            raise ValueError("expected fresh or resume, got both")
        purpose: Purpose = "fresh" if fresh else "resume" if resume else "run"
        return start(StartRequest(NAME, self.toml(), str(self.folder), purpose, figures))

    def run(self, *, fresh: bool = False, resume: bool = False, show: bool = True, figures: bool = True) -> Outcome:
        """Run the campaign to its end. Ctrl-C, or interrupting a notebook, drains it; a second time ends it at once.

        Args:
            fresh: first remove what an earlier campaign left in the folder.
            resume: continue the campaign in the folder, also with changed bounds, budget or targets.
            show: write what `moireloop run` shows to sys.stdout.
            figures: as `start`.

        Raises:
            CampaignFileError, CampaignIsRunning: as `start`.
            ServiceFailed: a service does not start or dies again and again.
            KeyboardInterrupt: it was interrupted; the campaign has ended.
        """
        with self.start(fresh=fresh, resume=resume, figures=figures) as running:
            return running.wait_through(show=show)


def _plain(value: Any) -> Any:
    """Models, paths, tuples and numbers of numpy as what TOML has; keys of a section that are None are left out."""
    if isinstance(value, BaseModel):
        return _of_model(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inside) for name, inside in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, Sequence):
        return [_plain(inside) for inside in value]
    return _plain(value.tolist()) if hasattr(value, "tolist") else value


def _of_model(model: BaseModel) -> Any:
    """What was set of a model. Of a growth model its name too, by which the settings of the section are chosen."""
    plain = model.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    chosen = getattr(model, "model", None)
    return {"model": chosen, **plain} if isinstance(chosen, str) else plain


def _nones(value: Any, key: str = "") -> Iterator[str]:
    if value is None:
        yield key
    elif isinstance(value, dict):
        for name, inside in value.items():
            yield from _nones(inside, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _nones(inside, f"{key}[{number}]")
