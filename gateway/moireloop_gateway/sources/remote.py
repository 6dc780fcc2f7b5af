"""A campaign whose folder is not here, reached over the wire from its connection file only (adapter)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moireloop.client.received import NotRunning
from moireloop_broker.connection import ClientConnection
from moireloop_broker.contract.search import BudgetSettings, SearchSpace
from moireloop_broker.contract.steered import targets_of
from moireloop_gateway.sources.place import Outline

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient
    from moireloop_broker.contract.control import Description

ABSENT: Final = (
    "the campaign's folder is on another machine, which has its log files, the final structures of its runs and the "
    "cell that it grows"
)


class RemotePlace:
    """One campaign behind a connection file, under the key that it has in addresses.

    Args:
        connection: what the file said when the gateway was started; it is read again for each new connection.
    """

    folder = None
    absent = ABSENT

    def __init__(self, key: str, file: Path, connection: ClientConnection) -> None:
        self.key = key
        self.connection_file = file
        self.steers = connection.role != "observer"
        self._endpoint = connection.control
        self._description: Description | None = None

    @property
    def where(self) -> str:
        """The campaign's control endpoint."""
        return self._endpoint

    def runs(self) -> bool:
        """Whether it may run: only its broker knows."""
        return True

    def learn(self, client: CampaignClient) -> None:
        """Ask what the campaign searches. Raises NotRunning."""
        self._description = client.describe()

    def outline(self) -> Outline:
        """The campaign's description. Raises NotRunning until it is reached."""
        if self._description is None:
            raise NotRunning(f"nothing has responded at {self._endpoint} so far")
        description = self._description
        return Outline(
            name=description.campaign,
            targets=targets_of(description.targets),
            space=SearchSpace.model_validate({name: (ends.low, ends.high) for name, ends in description.space.items()}),
            budget=BudgetSettings(
                results=description.budget_results,
                wall_time_s=description.budget_wall_time_s,
                outside_counts=description.outside_counts,
            ),
            settings=_settings(description),
        )

    def services(self) -> list[str]:
        """No log file is here."""
        return []

    def log_tail(self, service: str) -> str | None:
        """No log file is here."""
        return None


def _settings(description: Description) -> dict[str, Any]:
    return {
        "name": description.campaign,
        "growth": {"model": description.growth_model},
        "optimizer": {"strategy": description.strategy},
        "versions": description.versions,
    }
