"""The program that reads one final structure: folder and run on stdin, structure or pattern on stdout (main)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.load import load_copy
from moireloop.experiment.pattern_tables import columns_of
from moireloop.experiment.refused import PatternRefused
from moireloop.experiment.simulating import pattern_of_run, pattern_remarks
from moireloop.figures.bilayer import Lattices, direction_rad, moire_corners
from moireloop.figures.final_structure import FinalStructure, lattices_of, read_structure
from moireloop.session.records import StateLost, records
from moireloop.structure_files import NoStructure
from moireloop_analyzer.geometry.moire import sixty, turned_to
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.models.script_files import started_model

MOST_ATOMS: Final = 20_000
"""Larger structures are shown by the middle of them."""

LOWER, UPPER, NEITHER = 0, 1, 2


def main() -> int:
    """Read, measure and write; what cannot be read is said as a reason."""
    request = json.loads(sys.stdin.buffer.read())
    folder = CampaignFolder(Path(request["folder"]))
    try:
        if "pattern" in request:
            said = _pattern(folder, **request["pattern"])
        else:
            said = _structure(folder, **request["structure"])
    except (NoStructure, CampaignFileError, PatternRefused, StateLost) as error:
        said = {"reason": " ".join(str(error).split())}
    sys.stdout.write(json.dumps(said, allow_nan=False))
    return 0


def _structure(folder: CampaignFolder, candidate_id: str, attempt: int) -> dict[str, Any]:
    file = folder.final_data(candidate_id, attempt)
    campaign = load_copy(folder)
    model = started_model(campaign.growth, campaign.frames.every_steps, folder)
    if not file.exists():
        raise NoStructure(f"{file} is not there: runs without molecular dynamics leave no structure")
    return described(read_structure(file, model.lattice_types, model.periodic, campaign.analyzers))


def _pattern(folder: CampaignFolder, candidate_id: str, kind: str) -> dict[str, Any]:
    campaign = load_copy(folder)
    model = started_model(campaign.growth, campaign.frames.every_steps, folder)
    history, all_series = records(folder)
    seen = pattern_of_run(candidate_id, history.results, all_series, folder, model, kind, campaign.diffraction)
    return {
        "kind": seen.kind,
        "temperature_k": seen.temperature_k,
        "normal_per_angstrom": seen.normal_per_angstrom,
        "remarks": list(pattern_remarks(seen, candidate_id)),
        "columns": {name: values.tolist() for name, values in columns_of(seen.peaks).items()},
    }


def described(structure: FinalStructure) -> dict[str, Any]:
    """A structure as JSON: positions in angstrom along the cell's axes, lattices, cell and moire cell."""
    estimate, lattices = structure.estimate, lattices_of(structure)
    layer = np.full(len(structure.points), NEITHER)
    layer[estimate.lower_atoms], layer[estimate.upper_atoms] = LOWER, UPPER
    points = _inside(structure)
    chosen = _middle(points, structure)
    return {
        "x": _rounded(points[chosen, 0]),
        "y": _rounded(points[chosen, 1]),
        "z": _rounded(structure.heights[chosen]),
        "type": structure.types[chosen].tolist(),
        "layer": layer[chosen].tolist(),
        "atoms": len(structure.points),
        "cell": lattices.cell.tolist(),
        "periodic": [bool(along) for along in structure.periodic],
        "twist_deg": estimate.twist_deg,
        "sigma_deg": estimate.sigma_deg,
        "moire_angstrom": estimate.moire_angstrom,
        "stacking": estimate.stacking,
        "reason_without_twist": estimate.reason,
        **_fits(lattices),
    }


def _fits(lattices: Lattices) -> dict[str, Any]:
    lower, upper = lattices.lower_fit, lattices.upper_fit
    fits = {
        name: None if fit is None else {"vectors": fit.vectors.T.tolist(), "site": fit.site.tolist()}
        for name, fit in (("lower", lower), ("upper", upper))
    }
    if lower is None or upper is None:
        return {**fits, "moire_corners": None, "directions_rad": None}
    corners = moire_corners(lattices, lattices.cell.sum(axis=0) / 2)
    return {
        **fits,
        "moire_corners": None if corners is None else corners.tolist(),
        "directions_rad": [
            direction_rad(sixty(lower.vectors)),
            direction_rad(turned_to(lower.vectors, upper.vectors)),
        ],
    }


def _inside(structure: FinalStructure) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    """The atoms (N, 2) as images inside the cell, along the rows in which it repeats."""
    along = structure.points @ np.linalg.inv(structure.plane)
    inside: np.ndarray[Any, np.dtype[np.floating[Any]]]
    inside = (along - np.where(structure.periodic, np.floor(along), 0.0)) @ structure.plane
    return inside


def _middle(points: np.ndarray[Any, Any], structure: FinalStructure) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The MOST_ATOMS atoms nearest to the middle of the cell, in their order."""
    away = np.linalg.norm(points - structure.plane.sum(axis=0) / 2, axis=1)
    return np.sort(np.argsort(away)[:MOST_ATOMS])


def _rounded(values: np.ndarray[Any, Any]) -> list[float]:
    rounded: list[float] = np.round(values, 3).tolist()
    return rounded


if __name__ == "__main__":
    sys.exit(main())
