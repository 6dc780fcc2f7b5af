"""Frame messages of a run, made of its snapshots (pure)."""

from __future__ import annotations

from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.contract.message import MAX_NUMBER
from moireloop_worker.models.growth_model import Configuration, GrowthModel


def frame_of(
    candidate_id: str,
    attempt: int,
    model: GrowthModel,
    snapshot: Configuration,
    *,
    planned_steps: int = 0,
    final: bool = False,
) -> Frame:
    """The frame message of a snapshot of one attempt, without numbers that are too large for a message."""
    header = FrameHeader(
        candidate_id=candidate_id,
        attempt=attempt,
        step=snapshot.step,
        time_ps=snapshot.time_ps,
        cell=snapshot.cell.tolist(),
        periodic=list(model.periodic),
        shape=list(snapshot.positions.shape),
        lattice_types=list(model.lattice_types),
        elements=list(model.elements),
        temperature_k=_within_bounds(snapshot.temperature_k),
        pressure_bar=_within_bounds(snapshot.pressure_bar),
        potential_ev=_within_bounds(snapshot.potential_ev),
        kinetic_ev=_within_bounds(snapshot.kinetic_ev),
        final=final,
        planned_steps=planned_steps,
        part=snapshot.part,
        parts=snapshot.parts,
    )
    return Frame(header, snapshot.positions, snapshot.types)


class RunFrames:
    """The frame messages of one attempt: headers from a template, which costs less than to check each anew."""

    def __init__(self, candidate_id: str, attempt: int, model: GrowthModel) -> None:
        self._candidate_id = candidate_id
        self._attempt = attempt
        self._model = model
        self._header: FrameHeader | None = None
        self.planned_steps = 0

    def frame(self, snapshot: Configuration) -> Frame:
        """The frame message of a snapshot of this run."""
        if self._header is None or self._header.shape[0] != len(snapshot.positions):
            self._header = frame_of(
                self._candidate_id, self._attempt, self._model, snapshot, planned_steps=self.planned_steps
            ).header
        header = self._header.at(
            snapshot.step,
            snapshot.time_ps,
            snapshot.cell.tolist(),
            _within_bounds(snapshot.temperature_k),
            _within_bounds(snapshot.pressure_bar),
            _within_bounds(snapshot.potential_ev),
            _within_bounds(snapshot.kinetic_ev),
        )
        return Frame(header, snapshot.positions, snapshot.types)


def _within_bounds(value: float | None) -> float | None:
    return value if value is not None and abs(value) <= MAX_NUMBER else None
