"""Frame messages of a run, made of its snapshots (pure)."""

from __future__ import annotations

from moireloop_broker.contract.frames import Frame, FrameHeader, FrameHeaders, message_of
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
    """The frame messages of one attempt: a frame's header shares most of its bytes with the first one's."""

    def __init__(self, candidate_id: str, attempt: int, model: GrowthModel) -> None:
        self._candidate_id = candidate_id
        self._attempt = attempt
        self._model = model
        self._headers: FrameHeaders | None = None
        self.planned_steps = 0

    def message(self, snapshot: Configuration) -> list[bytes | memoryview]:
        """The multipart message of a snapshot of this run; all have the same `part` of `parts`."""
        if self._headers is None:
            first = frame_of(self._candidate_id, self._attempt, self._model, snapshot, planned_steps=self.planned_steps)
            self._headers = FrameHeaders(first.header)
        header = self._headers.packed(
            snapshot.step,
            snapshot.time_ps,
            snapshot.cell.tolist(),
            snapshot.positions.shape,
            _within_bounds(snapshot.temperature_k),
            _within_bounds(snapshot.pressure_bar),
            _within_bounds(snapshot.potential_ev),
            _within_bounds(snapshot.kinetic_ev),
        )
        return message_of(header, snapshot.positions, snapshot.types)


def _within_bounds(value: float | None) -> float | None:
    return value if value is not None and abs(value) <= MAX_NUMBER else None
