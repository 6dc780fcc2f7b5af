"""A campaign as a device of bluesky's RunEngine: growth parameters to set, and runs to trigger (adapter)."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from moireloop.bluesky.batch import Batch
from moireloop.bluesky.data_keys import DataKeys, Kinds, data_keys, values
from moireloop.bluesky.status import GrowthStatus
from moireloop.client.client import connect
from moireloop.client.requests import BadArgument, Number
from moireloop.results.results import nearest_target, regret_of
from moireloop_broker.contract.control import ParameterRange
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.steered import targets_of

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey

MEASURED: Final[Kinds] = {
    "twist_deg": pa.float64(),
    "signed_deg": pa.float64(),
    "sigma_deg": pa.float64(),
    "order_lower": pa.float64(),
    "order_upper": pa.float64(),
    "confidence": pa.float64(),
    "stacking": pa.string(),
}
"""What a reading has of a result's measurement."""

ABOUT: Final[Kinds] = {
    "candidate_id": pa.string(),
    "outcome": pa.string(),
    "reason": pa.string(),
    "attempt": pa.int64(),
    "regret_deg": pa.float64(),
    "md_s": pa.float64(),
}
"""What it has beside that; `regret_deg` is the distance to the nearest target."""


class NothingSet(ValueError):
    """A growth parameter has no value yet."""


class NothingGrown(RuntimeError):
    """There is no result to read: nothing was triggered."""


class Setpoint:
    """One growth parameter: its value for the next run. Its name is the parameter's."""

    parent = None

    def __init__(self, name: str, limits: ParameterRange, source: str) -> None:
        self.name = name
        self.limits = limits
        self._source = source
        self._value = math.nan
        self._set_s = time.time()

    @property
    def hints(self) -> dict[str, Any]:
        """What bluesky's callbacks plot."""
        return {"fields": [self.name]}

    @property
    def value(self) -> float:
        """The value that was set. Raises NothingSet."""
        if math.isnan(self._value):
            raise NothingSet(f"{self.name} has no value; set it before a run is triggered")
        return self._value

    def set(self, value: Number) -> GrowthStatus:
        """Take a value for the next runs. The status fails where the parameter cannot have it."""
        status = GrowthStatus()
        try:
            self._value = self._checked(value)
            self._set_s = time.time()
        except BadArgument as error:
            status.finish(error)
        else:
            status.finish()
        return status

    def read(self) -> dict[str, Any]:
        """The value and when it was set; NaN before."""
        return {self.name: {"value": self._value, "timestamp": self._set_s}}

    def describe(self) -> DataKeys:
        """Its data key."""
        limits = {"limits": {"control": {"low": self.limits.low, "high": self.limits.high}}}
        units = {"units": self.limits.unit} if self.limits.unit else {}
        data = {"source": self._source, "dtype": "number", "shape": [], **units, **limits}
        return {self.name: cast("DataKey", data)}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def describe_configuration(self) -> DataKeys:
        """Nothing."""
        return {}

    def _checked(self, value: Number) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not self.limits.low <= number <= self.limits.high:
            raise BadArgument(
                f"{self.name}: expected a number from {self.limits.low:g} to {self.limits.high:g}, got {value!r}"
            )
        return number


class Growth:
    """A running campaign. A trigger grows one candidate at the setpoints; prepare and kickoff grow many at a time.

    Readable, triggerable, preparable, flyable, collectable and stoppable by bluesky's protocols. Its setpoints are
    `growth["temperature_k"]` and so on, and `growth.setpoints` in their order.

    Args:
        campaign: its folder, its connection file, or the file that `moireloop grant` wrote.
        name: of the device, before its data keys and the ids of its candidates.
        requester: who asks, as the log shall say; by default user and host.

    Raises:
        NoConnectionFile, NotRunning: as `moireloop.connect`.
    """

    parent = None

    def __init__(self, campaign: Path | str, *, name: str = "growth", requester: str | None = None) -> None:
        with connect(campaign, name=requester) as client:
            self.described = client.describe()
        self.name = name
        self._campaign, self._requester = campaign, requester
        source = f"moireloop:{self.described.campaign}"
        self._setpoints = {
            one: Setpoint(one, limits, f"{source}/{one}") for one, limits in self.described.space.items()
        }
        self._kinds = {**ABOUT, **dict.fromkeys(self._setpoints, pa.float64()), **MEASURED}
        self._targets = targets_of(self.described.targets)
        self._results: dict[str, Result] = {}
        self._triggered: Batch | None = None
        self._read_last: Result | None = None
        self._prepared: list[tuple[str, dict[str, float]]] = []
        self._flying: Batch | None = None

    def __getitem__(self, parameter: str) -> Setpoint:
        return self._setpoints[parameter]

    def __repr__(self) -> str:
        return f"<Growth {self.name!r} of campaign {self.described.campaign!r}: {', '.join(self._setpoints)}>"

    @property
    def setpoints(self) -> list[Setpoint]:
        """The growth parameters, in the order of the search space."""
        return list(self._setpoints.values())

    @property
    def hints(self) -> dict[str, Any]:
        """What bluesky's callbacks plot."""
        return {"fields": [f"{self.name}_twist_deg"]}

    def result(self, candidate_id: str) -> Result:
        """The result of a candidate that this device grew. Raises KeyError."""
        return self._results[candidate_id]

    def trigger(self) -> GrowthStatus:
        """Grow one candidate at the setpoints. Triggered again before it is done, at the same ones, it is the same."""
        try:
            wanted = {name: setpoint.value for name, setpoint in self._setpoints.items()}
        except NothingSet as error:
            failed = GrowthStatus()
            failed.finish(error)
            return failed
        running = self._triggered
        if running is None or running.status.done or list(running.proposals.values()) != [wanted]:
            running = self._triggered = Batch(self._campaign, self._requester, {self._new_id(): wanted})
        return running.status

    def read(self) -> dict[str, Any]:
        """The result of the last trigger. Raises NothingGrown."""
        if self._triggered is not None:
            for result in self._noted(self._triggered):
                self._read_last = result
        if self._read_last is None:
            raise NothingGrown(f"{self.name} has no result to read; trigger it first")
        data, at_s = self._reading_of(self._read_last)
        return {name: {"value": value, "timestamp": at_s} for name, value in data.items()}

    def describe(self) -> DataKeys:
        """Data keys of a reading; parameters of the run are among them."""
        plain = data_keys(self._kinds, self.described.campaign)
        own = {"object_name": self.name}
        return {f"{self.name}_{key}": cast("DataKey", {**data, **own}) for key, data in plain.items()}

    def read_configuration(self) -> dict[str, Any]:
        """The campaign's id and targets."""
        data = {"campaign_id": self.described.campaign_id, "targets_deg": [one.twist_deg for one in self._targets]}
        return {f"{self.name}_{name}": {"value": value, "timestamp": time.time()} for name, value in data.items()}

    def describe_configuration(self) -> DataKeys:
        """Data keys of the configuration."""
        source = f"moireloop:{self.described.campaign}"
        return {
            f"{self.name}_campaign_id": {"source": f"{source}/campaign_id", "dtype": "string", "shape": []},
            f"{self.name}_targets_deg": {
                "source": f"{source}/targets", "dtype": "array", "shape": [len(self._targets)], "units": "deg"
            },
        }  # fmt: skip

    def prepare(self, recipes: Sequence[Mapping[str, Number]]) -> GrowthStatus:
        """Take recipes to grow together: parameter -> value of each. The status fails where one cannot be grown."""
        status = GrowthStatus()
        try:
            self._prepared = [(self._new_id(), self._recipe(recipe)) for recipe in recipes]
            if not self._prepared:
                raise BadArgument("expected at least one recipe, got none")
        except BadArgument as error:
            status.finish(error)
        else:
            status.finish()
        return status

    @property
    def prepared(self) -> tuple[str, ...]:
        """Ids of the candidates that were prepared, in the order of their recipes."""
        return tuple(candidate_id for candidate_id, _ in self._prepared)

    def kickoff(self) -> GrowthStatus:
        """Propose the prepared candidates, all at once. `complete` says when they are grown."""
        self._flying = Batch(self._campaign, self._requester, dict(self._prepared))
        begun = GrowthStatus()
        begun.finish()
        return begun

    def complete(self) -> GrowthStatus:
        """Done when all results are there. Raises NothingGrown."""
        if self._flying is None:
            raise NothingGrown(f"{self.name} was not kicked off")
        return self._flying.status

    def describe_collect(self) -> dict[str, DataKeys]:
        """The stream of what is grown together."""
        return {"primary": self.describe()}

    def collect(self) -> Iterator[dict[str, Any]]:
        """An event for each result that came since the last time."""
        for result in self._noted(self._flying) if self._flying is not None else ():
            data, at_s = self._reading_of(result)
            yield {"time": at_s, "data": data, "timestamps": dict.fromkeys(data, at_s)}

    def stop(self, success: bool = True) -> None:
        """Cancel the proposed candidates without a result. Raises NotRunning."""
        for batch in (self._triggered, self._flying):
            if batch is not None and not batch.status.done:
                batch.cancel(f"{self.name} was stopped by its RunEngine")

    def _noted(self, batch: Batch) -> list[Result]:
        fresh = batch.fresh()
        self._results.update({result.candidate.candidate_id: result for result in fresh})
        return fresh

    def _reading_of(self, result: Result) -> tuple[dict[str, Any], float]:
        """The values of a result under their data keys, and when it was logged."""
        target = nearest_target(result, self._targets)
        row = {
            "candidate_id": result.candidate.candidate_id,
            "outcome": result.outcome,
            "reason": result.reason or "",
            "attempt": result.attempt,
            "regret_deg": None if target is None else regret_of(result, target),
            "md_s": getattr(result.report, "md_s", None),
            **{name: result.candidate.parameters.get(name) for name in self._setpoints},
            **{name: getattr(result.measurement, name, None) for name in MEASURED},
        }
        row["stacking"] = row["stacking"] or ""
        data = {f"{self.name}_{key}": value for key, value in values(row, self._kinds).items()}
        return data, result.times.logged_s or result.candidate.proposed_s

    def _recipe(self, recipe: Mapping[str, Number]) -> dict[str, float]:
        unknown = sorted(name for name in recipe if name not in self._setpoints and not name.startswith("_"))
        missing = [name for name in self._setpoints if name not in recipe]
        if unknown or missing:
            raise BadArgument(f"expected values of {', '.join(self._setpoints)}, got {', '.join(recipe) or 'none'}")
        return {name: setpoint._checked(recipe[name]) for name, setpoint in self._setpoints.items()}

    def _new_id(self) -> str:
        return f"{self.name[:40]}-{secrets.token_hex(6)}"
