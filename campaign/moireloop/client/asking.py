"""Requests that both clients share: each method makes a request and has it carried out (pure)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from moireloop.client import requests
from moireloop.client.requests import Number, WantedTarget
from moireloop_broker.contract.steering import SteeringRequest

R = TypeVar("R", covariant=True)


class Asking(ABC, Generic[R]):
    """Steers a campaign. A blocking client returns when a request is carried out; an asyncio client is awaited.

    Every method raises BadArgument if its arguments are invalid, NotRunning if nothing responds, and RequestRefused if
    the broker refuses the request in the campaign's present state.
    """

    name: str

    @abstractmethod
    def _carry_out(self, request: SteeringRequest) -> R:
        """Send a request and see that it is accepted."""

    def propose(self, candidate_id: str, parameters: Mapping[str, Number], *, seed: int = 0) -> R:
        """Queue a candidate. Proposing the same id, parameters and seed again changes nothing."""
        return self._carry_out(requests.propose(candidate_id, parameters, seed, self.name))

    def cancel(self, candidate_id: str, reason: str) -> R:
        """End a candidate early, queued or running."""
        return self._carry_out(requests.cancel(candidate_id, reason, self.name))

    def withdraw(self, candidate_id: str, reason: str = "withdrawn") -> R:
        """Take a candidate out of the queue; refused if it already runs."""
        return self._carry_out(requests.withdraw(candidate_id, reason, self.name))

    def prioritise(self, candidate_id: str, place: int = 1) -> R:
        """Move a queued candidate to a place in the queue; place 1 is the next that a worker takes."""
        return self._carry_out(requests.prioritise(candidate_id, place, self.name))

    def pause(self, reason: str = "asked to pause") -> R:
        """Lease no more candidates until `resume`; runs continue."""
        return self._carry_out(requests.pause(reason, self.name))

    def resume(self) -> R:
        """Lease candidates again, after a pause."""
        return self._carry_out(requests.resume(self.name))

    def retarget(self, targets: WantedTarget | Iterable[WantedTarget]) -> R:
        """Search for other twists from now on: `8.2`, `(8.2, 0.3)` with a tolerance, or a list of such."""
        return self._carry_out(requests.retarget(targets, self.name))

    def change_space(self, space: Mapping[str, Sequence[Number]]) -> R:
        """Search within new bounds: name -> [low, high], for some or all growth parameters."""
        return self._carry_out(requests.change_space(space, self.name))

    def change_budget(self, results: int | None = None, *, wall_time_s: Number | None = None) -> R:
        """Change the budget. An argument that is None leaves its part as it is."""
        return self._carry_out(requests.change_budget(results, wall_time_s, self.name))

    def scale(self, workers: int, pool: str = "main") -> R:
        """Keep this many workers in a pool from now on. Surplus workers give back what they hold, uncharged."""
        return self._carry_out(requests.scale(workers, pool, self.name))

    def note(self, text: str, candidate_id: str | None = None) -> R:
        """Write a remark into the log, about the campaign or one candidate."""
        return self._carry_out(requests.note(text, candidate_id, self.name))

    def stop(self, reason: str = "asked to stop") -> R:
        """Let running candidates finish, then stop the campaign."""
        return self._carry_out(requests.stop(reason, self.name))
