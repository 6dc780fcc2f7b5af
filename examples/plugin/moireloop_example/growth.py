"""A growth model: two layers of Lennard-Jones beads; the upper layer melts, then recrystallizes under shear."""

import math

from moireloop_worker.models.growth_model import Once, Plan, Stage, checked_parameters

A = 3.16  # lattice constant in angstrom
HEIGHT = 22.3  # of the box, in angstrom


class SoftBeads:
    """Turns the parameters of a candidate into LAMMPS commands. Computes nothing itself."""

    name = "soft-beads"
    lattice_types = (1, 2)  # the types whose lattice carries the twist: 1 is the lower layer
    elements = ()
    periodic = (True, True, False)
    potential_files = ()
    parameters = {  # noqa: RUF012
        "temperature_k": (1.0, 20000.0),
        "lattice_strain": (-0.05, 0.25),
        "shear_strain": (-0.5, 0.5),
    }

    def __init__(self, side):
        self.side = side

    def preparation(self, seed, lammps_version):
        """None: every run melts its own upper layer. A model may prepare one structure for many runs."""

    def plan(self, parameters, seed, prepared):
        """The run of one candidate, as stages of commands and steps."""
        given = checked_parameters(parameters, self.parameters)
        temperature, width = given["temperature_k"], self.side * A
        depth = width * math.sqrt(0.75)
        scale, shear = 1 + given["lattice_strain"], given["shear_strain"]
        return Plan(
            setup=("units metal", "atom_style atomic", "boundary p p f", "box tilt large"),
            structure=(
                f"lattice custom {A} a1 1 0 0 a2 0.5 {math.sqrt(0.75)} 0 a3 0 0 {HEIGHT / A} "
                "basis 0.1 0.1 0 basis 0.4333333333 0.4333333333 0.2825112108",
                f"region cell prism 0 {width} 0 {depth} -8 {HEIGHT - 8} {width / 2} 0 0 units box",
                "create_box 2 cell",
                "create_atoms 1 box basis 1 1 basis 2 2",
                "mass * 160",
            ),
            forces=(
                "pair_style lj/cut 8.0",
                "pair_coeff 1 1 1.0 2.87151 8.0",
                "pair_coeff 2 2 0.3 2.87151 8.0",
                "pair_coeff 1 2 0.02 5.6 9.0",
                "group lower type 1",
                "group upper type 2",
                "fix lower_plane lower spring/self 5.0 z",
                "fix upper_plane upper spring/self 20.0 z",
                "fix walls all wall/reflect zlo EDGE zhi EDGE",
                "fix motion all nve",
                "timestep 0.004",
            ),
            stages=(
                Stage(
                    "melt",
                    (
                        Once(f"velocity lower create 300 {seed} loop geom"),
                        Once(f"velocity upper create 30000 {seed + 1} loop geom"),
                        f"fix cold lower langevin 300 300 0.2 {seed + 2}",
                        f"fix heat upper langevin 30000 30000 0.2 {seed + 3}",
                    ),
                    1000,
                ),
                Stage(
                    "anneal",
                    (
                        "unfix cold",
                        Once(f"change_box all x scale {scale} y scale {scale} remap units box"),
                        Once(f"change_box all xy delta {shear * scale * depth} remap units box"),
                        Once(f"velocity all create {temperature} {seed + 4} loop geom"),
                        f"fix heat all langevin {temperature} {temperature} 0.2 {seed + 5}",
                    ),
                    1500,
                ),
                Stage("quench", (f"fix heat all langevin {temperature} 1 0.2 {seed + 6}",), 4000),
            ),
            timestep_ps=0.004,
        )


def soft_beads(options):
    """Called with the keys of [growth], `model` left out. Raises ValueError, which names the key that is wrong."""
    if unknown := set(options) - {"side"}:
        raise ValueError(f"expected no key but side, got {', '.join(sorted(unknown))}")
    side = options.get("side", 12)
    if not isinstance(side, int) or not 4 <= side <= 200:
        raise ValueError(f"side: expected an integer from 4 to 200, got {side!r}")
    return SoftBeads(side)
