"""A finished or stopped campaign, read from its folder without services, as `moireloop.open` (adapter)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from moireloop.campaign_file.load import load_copy
from moireloop.campaign_file.looking import load_to_look
from moireloop.client.html import campaign_html
from moireloop.client.received import Received, Topic, order
from moireloop.experiment.options import PatternOptions, PatternSource
from moireloop.results.results import best_result
from moireloop.session.history import TOPICS, History
from moireloop.session.lock import refuse_if_running
from moireloop.session.records import stored_state
from moireloop_broker.bulk import many_objects
from moireloop_broker.contract.codec import EARLIER, peeked_tag, unpack_published
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import Published, Result
from moireloop_broker.contract.message import START, MalformedMessage
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.topics import OBSERVED_TOPICS, topic_named
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import read_identity
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import Entry
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import Series
from moireloop_worker.models import crystal_of

if TYPE_CHECKING:
    import pandas as pd

    from moireloop.campaign_file.campaign import Campaign
    from moireloop.client.requests import WantedTarget
    from moireloop.experiment.comparison import Comparison
    from moireloop_analyzer.scattering.simulated import SimulatedPattern
    from moireloop_optimizer.discrepancy import ChamberAdvice

M = TypeVar("M", bound="Published")


@dataclass(frozen=True)
class _Log:
    """The stored state without the series: packed entries of the log and of the observations, and the status."""

    entries: list[Entry]
    status: Status
    observed: list[Entry]


class StoredCampaign:
    """A campaign that is not running, as recorded in its log. Nothing is started, locked or written.

    The log is read once, at its first use. A campaign that continues later is not followed: open it again.
    """

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<stored campaign {self.name!r} in {self.folder}: {len(self.results)} results, {self.status.state}>"

    def _repr_html_(self) -> str:
        return campaign_html(self.status, self.budget.results, self.targets, self.results)

    @property
    def folder(self) -> Path:
        """The campaign's folder."""
        return self._folder.root

    @property
    def name(self) -> str:
        """The name of the campaign."""
        return self._as_in_file.name

    @property
    def id(self) -> str:
        """The id of the campaign, which stays when its folder moves; empty for a campaign of an early version."""
        identity = read_identity(self._folder.root)
        return identity.id if identity else ""

    @property
    def status(self) -> Status:
        """The campaign's last state."""
        return self._log.status

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Its settings by section, as its services read them."""
        sections: dict[str, Any] = json.loads(self._folder.settings_file.read_text(encoding="utf-8"))
        now = self._campaign.model_dump(mode="json", include={"targets", "space", "budget"})
        return {**sections, **now}

    @property
    def targets(self) -> tuple[Target, ...]:
        """The wanted twists, including changes by requests; likewise `space` and `budget`."""
        return self._campaign.targets

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self._campaign.space

    @property
    def budget(self) -> BudgetSettings:
        """The budget."""
        return self._campaign.budget

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """All results, oldest first."""
        return tuple(self._history.results)

    @overload
    def events(self, topics: Iterable[type[M]], since: str = START) -> list[Received[M]]: ...

    @overload
    def events(self, topics: Iterable[Topic] = (), since: str = START) -> list[Received[Published]]: ...

    def events(self, topics: Iterable[Topic] = (), since: str = START) -> list[Any]:
        """The messages of these classes or topics after the id `since`, oldest first; no topics mean the whole log.

        Only the newest 100000 observations (Observation, FrameAnalysed) are kept. Their ids are separate from the ids
        of the log's events.

        Raises:
            ValueError: topics of both kinds.
        """
        wanted = {topic_named(topic) for topic in topics}
        if wanted & OBSERVED_TOPICS and wanted - OBSERVED_TOPICS:
            raise ValueError(f"expected topics of the log or what was observed, got both: {', '.join(sorted(wanted))}")
        after = order(since)
        found = []
        for entry_id, body in self._log.observed if wanted & OBSERVED_TOPICS else self._log.entries:
            tag = peeked_tag(body)
            if order(entry_id) > after and (not wanted or EARLIER.get(tag, tag) in wanted):
                try:
                    found.append(Received(entry_id, unpack_published(body)))
                except MalformedMessage:
                    continue
        return found

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The analyzers' measurements of each attempt's frames, by candidate and attempt."""
        with stored_state(self._folder) as (client, connection):
            return tuple(Observations(client, connection.keys).all_series())

    @cached_property
    def structures(self) -> Mapping[str, Path]:
        """LAMMPS data file of the final structure by candidate id, for runs whose folder still exists."""
        places = {
            result.candidate.candidate_id: self._folder.final_data(result.candidate.candidate_id, result.attempt)
            for result in self.results
        }
        return {name: place for name, place in places.items() if place.is_file()}

    def best(self, target: Target | float | None = None) -> Result | None:
        """The measured result nearest to a target, by default the first; None where nothing was measured."""
        return best_result(self.results, self.targets[0] if target is None else target)

    def compare(self, pattern: PatternSource, **options: Unpack[PatternOptions]) -> Comparison:
        """Compare a measured pattern with the results: its twist, the most similar results, what to change.

        Raises:
            PatternRefused: the pattern cannot be read, or no lattice constants are known.
        """
        from moireloop.experiment.comparing import compare

        if "lattices" not in options and (crystal := crystal_of(self._campaign.growth)) is not None:
            options["lattices"] = crystal.lattice_angstrom, crystal.lattice_angstrom
        return compare(pattern, self.results, self.targets, self.space, **options)

    def pattern(self, candidate_id: str, kind: str = "gixd", **changes: Any) -> SimulatedPattern:
        """The pattern that X-rays (`gixd`) or electrons (`rheed`) would show of a run's final structure.

        Args:
            changes: settings of [diffraction], as `temperature_k=300`; of its tables, as `rheed={"azimuth_deg": 30}`.

        Raises:
            PatternRefused: there is no such run, it left no structure, or a setting is wrong.
            MissingExtra: the required extras are not installed.
        """
        from moireloop.experiment.simulating import changed_settings, pattern_of_run
        from moireloop_worker.models.script_files import started_model

        campaign = self._campaign
        model = started_model(campaign.growth, campaign.frames.every_steps, self._folder)
        settings = changed_settings(campaign.diffraction, changes)
        return pattern_of_run(candidate_id, self.results, self.series, self._folder, model, kind, settings)

    def advise_chamber(self, target: WantedTarget | None = None) -> ChamberAdvice:
        """Advise growth parameters for chamber and simulation, from results and patterns; see CampaignClient."""
        from moireloop.client.requests import one_target
        from moireloop.experiment.chamber import advised

        patterns = [entry.message for entry in self.events([PatternMeasured])]
        wanted = None if target is None else one_target(target)
        return advised(self.results, patterns, self.space, wanted, self.targets)

    def results_frame(self) -> pd.DataFrame:
        """The results as a pandas table with the columns of results.parquet. Raises MissingExtra."""
        from moireloop.results.frame import results_frame

        return results_frame(self.results, self.targets, self._campaign.bounds)

    @cached_property
    def _as_in_file(self) -> Campaign:
        return load_copy(self._folder)

    @cached_property
    def _campaign(self) -> Campaign:
        return self._as_in_file.after(self._history.steered)

    @cached_property
    def _log(self) -> _Log:
        with many_objects(), stored_state(self._folder) as (client, connection):
            entries = list(connection.event_log(client).replay_packed())
            status = CampaignState(client, connection.keys, connection.campaign).status()
            return _Log(entries, status, list(Observations(client, connection.keys).stored()))

    @cached_property
    @many_objects()
    def _history(self) -> History:
        return History.of(entry.message for entry in self.events(TOPICS))


def open_campaign(path: Path | str) -> StoredCampaign:
    """A finished or stopped campaign, by its folder or its campaign file.

    Raises:
        CampaignFileError: there is no campaign there.
        CampaignIsRunning: it runs; `moireloop.connect` is for that.
        StateLost, RedisUnavailable: at the first use of a part that was lost or cannot be read.
    """
    campaign, _ = load_to_look(Path(path))
    folder = CampaignFolder(campaign.folder)
    refuse_if_running(folder)
    return StoredCampaign(folder)
