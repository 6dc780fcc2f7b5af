"""Campaign files whose growth script, or what they say of it, is wrong, each in one way.

Each is the good file of `wrong_files` with growth model `script` and the good script below, with one piece replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from moireloop.campaign_file.load import keep_copy, load_campaign, read_campaign
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.models.script_files import keep_script
from tests.helpers.wrong_campaign_files import GOOD, WrongFile

SCRIPT = """\
units metal
boundary p p f
region box block 0 20 0 20 0 20
create_box 1 box
create_atoms 1 random 30 {{seed}} NULL overlap 1.5 maxtry 200
mass 1 32.0
pair_style lj/cut 5.0
pair_coeff 1 1 0.01 2.0
change_box all x scale $(1+{{lattice_strain}}) xy delta $(20*{{shear_strain}})
thermo {{frame_steps}}
velocity all create {{temperature_k}} {{seed2}}
fix move all nve
run {{anneal_steps}}
"""
SCRIPT_GROWTH = """\
[growth]
model = "script"
file = "growth.in"
lattice_types = [1]
values = { anneal_steps = 50 }
"""
WITH_SCRIPT = GOOD.replace('[growth]\nmodel = "bead"\ncells = [12, 12]\n', SCRIPT_GROWTH)


def _script(old: str = "", new: str = "", encoding: str = "utf-8") -> Callable[[Path], None]:
    """Leave a script with one piece replaced beside the campaign file."""
    if old and SCRIPT.count(old) != 1:
        raise AssertionError(f"expected {old!r} once in the good script")

    def act(path: Path) -> None:
        path.with_name("growth.in").write_text(SCRIPT.replace(old, new), encoding=encoding)

    return act


def _script_is_folder(path: Path) -> None:
    path.with_name("growth.in").mkdir()


def _wrong_script(name: str, expected: str, old: str, new: str) -> WrongFile:
    return WrongFile(f"{name}", expected, text=WITH_SCRIPT, act=_script(old, new))


def _wrong_section(name: str, expected: str, old: str, new: str) -> WrongFile:
    if WITH_SCRIPT.count(old) != 1:
        raise AssertionError(f"expected {old!r} once in the good file")
    return WrongFile(f"{name}", expected, text=WITH_SCRIPT.replace(old, new), act=_script())


def _script_without_seeds(path: Path) -> None:
    path.with_name("growth.in").write_text(SCRIPT.replace("{{seed}}", "1").replace("{{seed2}}", "2"))


def _started_with_script(path: Path) -> None:
    _script("32.0", "95.94")(path)
    started = load_campaign(path, "run", cores=4)
    folder = CampaignFolder(started.folder)
    folder.create()
    keep_script(started.growth, started.frames.every_steps, folder)
    keep_copy(read_campaign(path), folder)
    _script()(path)


WRONG_SCRIPTS = [
    WrongFile("missing", "growth.file: expected a LAMMPS input, got", text=WITH_SCRIPT),
    WrongFile("a folder", "not a file", text=WITH_SCRIPT, act=_script_is_folder),
    WrongFile("not UTF-8", "growth.file: growth.in, line 1: expected UTF-8 text, got the byte 0xb5",
              text=WITH_SCRIPT, act=_script("units metal", "units metal # \xb5", "latin-1")),
    _wrong_script("unknown placeholder", "growth.file: growth.in, line 11: unknown placeholder {{{{temprature_k}}}}; "
                  "did you mean {{{{temperature_k}}}}?", "{{temperature_k}}", "{{temprature_k}}"),
    _wrong_script("placeholder like none", "line 6: unknown placeholder {{{{zzz}}}}; expected one of {{{{temp",
                  "32.0", "{{zzz}}"),
    _wrong_script("calculation in a placeholder", "line 5: unknown placeholder {{{{seed+1}}}}; did you mean {{{{seed",
                  "{{seed}}", "{{seed+1}}"),
    _wrong_script("growth parameter that is nowhere",
                  "growth.file: expected {{{{lattice_strain}}}} somewhere in the script, got none: [space] has a range",
                  "{{lattice_strain}}", "0.01"),
    _wrong_script("growth parameter in a comment alone", "expected {{{{lattice_strain}}}} somewhere",
                  "{{lattice_strain}}", "0.01) # {{lattice_strain}}"),
    WrongFile("no seed", "expected {{{{seed}}}} somewhere in the script, got none: without it all attempts",
              text=WITH_SCRIPT, act=_script_without_seeds),
    _wrong_script("no frame interval", "expected {{{{frame_steps}}}} somewhere in the script, got none",
                  "{{frame_steps}}", "100"),
    _wrong_script("variable for a placeholder", "growth.in, line 11: variable temperature_k is not defined "
                  "before this line; write {{{{temperature_k}}}}", "{{temperature_k}}", "${temperature_k}"),
    _wrong_script("control flow", "growth.file: growth.in, line 12: jump cannot be used", "fix move",
                  "jump SELF\nfix move"),
    _wrong_script("open quotes", "growth.in, line 6: expected quotes around whole words", "mass 1", 'mass "1'),
    _wrong_script("run of a variable", "growth.in, line 13: expected run N", "run {{anneal_steps}}",
                  "run {{anneal_steps}} upto"),
    _wrong_script("no run", "growth.values.anneal_steps: expected {{{{anneal_steps}}}} somewhere",
                  "run {{anneal_steps}}", ""),
    _wrong_script("no units", "growth.file: expected units metal or units real", "units metal", ""),
    _wrong_script("missing data file", "growth.in, line 4: expected a file beside the script or among LAMMPS's "
                  "potentials, got 'start.data'", "create_box 1 box", "read_data start.data"),
    _wrong_script("missing potential", "growth.in, line 8: expected a file beside the script or among LAMMPS's",
                  "pair_coeff 1 1 0.01 2.0", "pair_coeff * * MoSe2.sw Mo"),
    _wrong_script("file named by a variable", "line 4: expected a plain file name, got '${{start}}'",
                  "create_box 1 box", "read_data ${start}"),
    _wrong_section("no file", "growth.file: expected this key", 'file = "growth.in"\n', ""),
    _wrong_section("no lattice types", "growth.lattice_types: expected at least 1 entries", "= [1]", "= []"),
    _wrong_section("atom type 0", "growth.lattice_types[0]: expected at least 1", "= [1]", "= [0]"),
    _wrong_section("value that nothing takes", "growth.values.quench_steps: expected {{{{quench_steps}}}} somewhere",
                   "anneal_steps = 50", "anneal_steps = 50, quench_steps = 5"),
    _wrong_section("value with a range", "growth.values.shear_strain: has a range in [space] already",
                   "anneal_steps = 50", "anneal_steps = 50, shear_strain = 0.1"),
    _wrong_section("value named seed3", "growth.values.seed3: expected a name that is not", "anneal_steps = 50",
                   "anneal_steps = 50, seed3 = 1"),
    _wrong_section("value is a string", "growth.values.anneal_steps", "anneal_steps = 50", 'anneal_steps = "50"'),
    _wrong_section("steps with a fraction", "growth.in, line 13: expected run N with an", "= 50 }", "= 50.5 }"),
    _wrong_section("parameter that the script lacks", "expected {{{{pressure_bar}}}} somewhere in the script, got none",
                   "[budget]", "pressure_bar = [0.0, 1.0]\n\n[budget]"),
    _wrong_section("unknown key", "growth.lattice_type: unknown key; did you mean growth.lattice_types?",
                   "lattice_types", "lattice_type"),
    WrongFile("another one on resume", "growth.in), got another from line 6; a resumed campaign cannot change it",
              text=WITH_SCRIPT, act=_started_with_script, purpose="resume"),
]  # fmt: skip
