"""What `validate` refuses in a growth script it refuses in every spelling, soon, in one line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from moireloop_worker.inputs.script_rules import REFUSED, REFUSED_FIXES
from moireloop_worker.models.script_files import LARGEST_SCRIPT_BYTES, script_problems
from moireloop_worker.models.script_settings import ScriptSettings
from tests.helpers.wrong_scripts import SCRIPT

SPACE = ("temperature_k", "lattice_strain", "shear_strain")


def problems(folder: Path, text: str) -> list[str]:
    (folder / "growth.in").write_text(text, encoding="utf-8")
    settings = ScriptSettings(file=folder / "growth.in", lattice_types=(1,), values={"anneal_steps": 50})
    return [str(problem) for problem in script_problems(settings, SPACE, 100)]


def with_lines(lines: str) -> str:
    return SCRIPT.replace("thermo {{frame_steps}}", f"{lines}\nthermo {{{{frame_steps}}}}")


REFUSED_LINES = {
    "shell": ("“shell” touch x", "\ufeffshell touch x", "shell\u00a0touch x", "'shell' touch x", "shel&\nl touch x",
              "variable s string shell\n${s} touch x", "variable s index shell\n$s touch x", "shell\vtouch x"),
    "print to a file": ("print “a” append f", "print a “append” f", "print a \u2018file\u2019 f",
                        "variable m string append\nprint a ${m} f", "variable m index append\nprint a $m f",
                        "variable m string 'append f'\nprint a ${m}", "print a screen no file f"),
    "info to a file": ("info all append f", "info append f", "variable m string overwrite\ninfo all ${m} f"),
    "labelmap to a file": ("labelmap write f", "variable w string write\nlabelmap ${w} f"),
    "plugin": ("plugin load x.so", "“plugin” load x.so"),
    "write_coeff": ("write_coeff f",),
    "write_anything": ("write_anything f",),
    "sphere_write": ("sphere_write f",),
    "read_anything": ("read_anything f",),
    "log": ("log f", "variable l string log\n${l} f"),
    "include": ("include f", "include ${f}"),
    "if": ('if "1 == 1" then "shell ls"',),
    "jump": ("jump SELF a",),
    "run N": ('run 10 every 5 "shell ls"', "run 10 upto", "run 10 pre no"),
    "dump": ("dump 1 all atom 10 /tmp/f", "dump/kk 1 all atom 10 f"),
    "timer timeout": ("timer timeout 1", "variable t string timeout\ntimer ${t} 1"),
    "fix ave/time": ("fix 9 all ave/time 1 1 10 c_thermo_temp file f",
                     "variable k string file\nfix 9 all ave/time 1 1 10 c_thermo_temp ${k} f"),
    "fix python": ("fix 9 all python post_force x", "fix 9 all python/invoke/omp x"),
    "fix imd": ("fix 9 all imd 5678",),
    "fix halt": ("fix 9 all halt 10 v_a > 1", "fix 9 all halt/kk 10 v_a > 1"),
    "style python": ("variable x python f",),
    "style getenv": ("variable x getenv HOME",),
    "pair_style with python": ("pair_style python 5", "pair_style hybrid lj/cut 5 python 5"),
    "kim": ("kim query x get_lattice_constant",),
    "plain file name": ("variable f string MoS.rebomos\npair_coeff * * ${f} Mo", "molecule m ${f}",
                                "variable f string a.mol\nmolecule m $f"),
    "format": ("variable x equal 1\nvariable g format x '%g append'\nprint a ${g} f", "print a $(1:%g append f)"),
    "could be any text": ("variable g file names.txt\nprint a ${g} f",),
    "quotes around whole words": ("variable q string 'a\" append f'\nprint \"b ${q}",),
    "character 0x00": ("mass 1 32\0 0",),
    "more": ("variable a string aaaaaaaaaa\n" + "variable a string $a$a\n" * 40,),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "lines"), [(r, line) for r, lines in REFUSED_LINES.items() for line in lines])
def test_each_spelling_is_refused(tmp_path: Path, reason: str, lines: str) -> None:
    """Typographic quotes, byte order mark, odd blanks, continuation, variables and formats: LAMMPS takes them all."""
    found = problems(tmp_path, with_lines(lines))
    assert found
    assert reason in found[0]


@pytest.mark.parametrize("name", [*REFUSED, *(f"fix {style}" for style in REFUSED_FIXES)])
@pytest.mark.parametrize("spelling", ["{}", "“{}”", "\ufeff{}", "{}/kk"])
def test_nothing_on_the_lists_has_a_spelling_that_passes(tmp_path: Path, name: str, spelling: str) -> None:
    """Each command and each style of fix."""
    command, _, style = name.partition(" ")
    line = f"{command} 9 all {spelling.format(style)} 1" if style else f"{spelling.format(command)} a b"
    assert any("cannot be used" in found for found in problems(tmp_path, with_lines(line)))


@pytest.mark.parametrize(
    "lines",
    [
        "variable t equal 300\nfix b all langevin $t ${t} 0.1 {{seed3}}",
        "print 'T is ${t}, append file'",
        'print "append"',
        "region q block 0 $(20*0.5:%.3f) 0 1 0 1",
        "print “Größe”",
        "variable a loop 5\nprint $a",
        "variable x equal 1\nvariable g format x %.3f\nprint ${g}",
    ],
)
def test_what_is_harmless_is_taken(tmp_path: Path, lines: str) -> None:
    """Numbers by variables, the same words inside quotes, letters beyond ASCII."""
    assert problems(tmp_path, with_lines(lines)) == []


@pytest.mark.parametrize(
    "piece",
    ["{", "{{", "{{ ", "{{}}", "\"'", "$", "$(", "&\n", "a\n", "fix a all nve\n", "a.b ", "variable a string $a$a\n",
     "''", "#", "“", "\"a.b\" ", "${a.b} ", "a{{b}}c/d ", "1.e5 "],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "pair_coeff * * "])
def test_large_scripts_are_checked_within_a_second(tmp_path: Path, piece: str, before: str) -> None:
    """900 kB of anything: a few lines at most, within a second of this process."""
    text = SCRIPT + before + piece * (900_000 // len(piece.encode()))
    began = time.process_time()
    found = problems(tmp_path, text)
    assert time.process_time() - began < 5.0
    assert len(found) <= 21
    assert all(len(line) < 500 for line in found)


def test_a_script_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """By its size, before anything of it is read."""
    (found,) = problems(tmp_path, "#" * (LARGEST_SCRIPT_BYTES + 1))
    assert f"expected at most {LARGEST_SCRIPT_BYTES} bytes" in found
