"""Reads what LAMMPS writes, by itself: logs, data files and extended XYZ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def thermo_of(log_file: Path) -> list[tuple[int, float]]:
    """Step and temperature of each line of thermodynamic output, in the order in which they were written."""
    found, inside = [], False
    for line in log_file.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            inside = True
        elif words[:1] == ["WARNING:"]:
            continue
        elif inside and len(words) >= 2 and words[0].isdecimal():
            found.append((int(words[0]), float(words[1])))
        else:
            inside = False
    return found


def data_of(data_file: Path) -> tuple[Floats, Floats]:
    """Positions and velocities (N, 3) of a LAMMPS data file (atom style atomic or charge), by the ids.

    Positions are unwrapped by the image flags, which are the last three columns, behind x, y and z.
    """
    text = data_file.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^(Atoms|Velocities)[^\n]*\n\n((?:[^\n]+\n)+)", text, flags=re.MULTILINE))
    atoms = np.array([line.split() for line in sections["Atoms"].splitlines()], dtype=float)
    velocities = np.array([line.split() for line in sections["Velocities"].splitlines()], dtype=float)
    positions = atoms[:, -6:-3] + atoms[:, -3:] @ cell_of(text)
    return positions[atoms[:, 0].argsort()], velocities[velocities[:, 0].argsort()][:, 1:4]


def cell_of(text: str) -> Floats:
    """The rows a, b, c of a data file's cell, in angstrom."""
    sides = [float(high) - float(low) for low, high in re.findall(r"^(\S+) (\S+) .lo .hi$", text, flags=re.MULTILINE)]
    ((xy, xz, yz),) = re.findall(r"^(\S+) (\S+) (\S+) xy xz yz$", text, flags=re.MULTILINE)
    return np.array([[sides[0], 0, 0], [float(xy), sides[1], 0], [float(xz), float(yz), sides[2]]])


def extxyz_of(file: Path) -> tuple[dict[str, str], list[str], Floats]:
    """Comment line as key and value, species, and the numbers (N, k) of an extended XYZ file with one frame."""
    count, comment, *lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == int(count)
    pairs: list[tuple[Any, ...]] = re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', comment)
    words = [line.split() for line in lines]
    return {k: a or b for k, a, b in pairs}, [w[0] for w in words], np.array([w[1:] for w in words], dtype=float)
