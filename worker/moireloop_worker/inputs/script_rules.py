"""What a script of the user's own may not say, what of it is done once, and which of its words name files (pure).

moireloop cuts a script into stages, stops runs early, and continues from restart files. So it has to know the steps
beforehand, and nothing but its own commands may move the step counter or write where other workers write too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from moireloop_broker.problems import shown
from moireloop_worker.inputs.lammps_input import Command, misspelt
from moireloop_worker.inputs.variables import Unknown

BOX_MAKERS: Final = frozenset({"create_box", "read_data"})
"""Commands that make the cell, one of them the atoms too: what a restart file stands in for begins with them."""

_FLOW: Final = "moireloop must know the steps of a run beforehand: write the commands out one after another"

_STEPS: Final = "moireloop counts the steps"

_WRITES: Final = (
    "all workers would write the same file; frames, LAMMPS's log and the final structure are kept for each run anyway"
)

_SHELL: Final = "a script may only run LAMMPS commands; do this before the campaign"

_CONNECTS: Final = "a script talks to no other program"

_MANY: Final = "a candidate is one plain run"

REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("jump", "label", "next", "if", "quit"), _FLOW),
        **dict.fromkeys(("shell", "python", "plugin", "geturl"), _SHELL),
        **dict.fromkeys(
            ("mdi", "message", "server", "kim", "kim_init", "kim_interactions", "kim_query", "kim_param",
             "kim_property"), _CONNECTS
        ),
        **dict.fromkeys(("dump", "dump_modify", "undump", "write_dump"), _WRITES),
        **dict.fromkeys(("write_data", "write_restart", "restart"), _WRITES),
        **dict.fromkeys(("write_coeff", "write_molecule", "group2ndx", "region2vmd", "fitpod"), _WRITES),
        **dict.fromkeys(("pair_write", "bond_write", "angle_write", "dihedral_write"), _WRITES),
        **dict.fromkeys(("reset_timestep", "read_dump"), _STEPS),
        **dict.fromkeys(
            ("rerun", "neb", "neb/spin", "prd", "tad", "temper", "temper/grem", "temper/npt", "hyper", "partition",
             "dynamical_matrix", "third_order"), _MANY
        ),
        "include": "placeholders in the other file would not be seen: put its text here",
        "clear": "each candidate begins with an empty LAMMPS anyway",
        "log": "LAMMPS's log goes to the folder of the run",
        "read_restart": "moireloop continues from its own restart files; begin with read_data and a file of write_data",
    }
)  # fmt: skip
"""Commands that cannot be, and why."""

REFUSED_FIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "halt": "moireloop decides when a run ends early",
        "dt/reset": "the time step must stay the same throughout",
        **dict.fromkeys(("python", "python/invoke", "python/move"), _SHELL),
        **dict.fromkeys(("imd", "ipi", "client/md", "mdi/qm", "mdi/qmmm", "latte", "nwchem", "qmmm"), _CONNECTS),
        "external": "only a program that runs LAMMPS can use it",
        **dict.fromkeys(("reaxff/bonds", "reaxff/species", "reax/c/bonds", "reax/c/species"), _WRITES),
        **dict.fromkeys(("colvars", "plumed", "phonon", "tmd", "lb/fluid", "mscg"), _WRITES),
    }
)
"""Styles of fix, without the suffix of an accelerator, that cannot be, and why."""

_OUTPUTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "print": frozenset({"file", "append"}),
        "info": frozenset({"overwrite", "append"}),
        "balance": frozenset({"out"}),
        "processors": frozenset({"file"}),
        "labelmap": frozenset({"write"}),
    }
)

_FIX_OUTPUTS: Final = (
    (("ave/", "print", "vector", "saed/"), frozenset({"file", "append"})),
    (("balance",), frozenset({"out"})),
    (("ttm",), frozenset({"outfile"})),
    (("electrode/",), frozenset({"write_mat", "write_inv", "write_vec"})),
)

REFUSED_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "python": _SHELL,
        "getenv": "its text differs between machines; write it out, or put a number into growth.values",
    }
)
"""Styles of variable that cannot be, and why."""

_PYTHON: Final = frozenset({"python", "mliappy", "unified"})
"""Words of pair_style, compute and the like that have LAMMPS run Python, or read what Python would run."""

_STYLES: Final = ("pair_style", "bond_style", "angle_style", "dihedral_style", "improper_style", "compute")

_SUFFIX: Final = re.compile(r"/(kk(/host|/device)?|omp|gpu|intel|opt)$")

_ONCE: Final = frozenset(
    {
        "change_box", "create_atoms", "create_bonds", "delete_atoms", "delete_bonds", "displace_atoms", "minimize",
        "ndx2group", "read_data", "replicate", "reset_atom_ids", "reset_atoms", "reset_ids", "reset_mol_ids", "set",
        "velocity",
    }
)  # fmt: skip

_REQUIRED_FILES: Final[Mapping[str, int]] = MappingProxyType({"read_data": 1, "molecule": 2, "ndx2group": 1})

_FIRST_WORD_OF_FILES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "molecule": 2, "pair_style": 2, "pair_coeff": 3, "bond_coeff": 2, "angle_coeff": 2, "dihedral_coeff": 2,
        "improper_coeff": 2, "fix": 4, "compute": 4, "variable": 3, "create_atoms": 2, "plugin": 2,
    }
)  # fmt: skip


_FILE_LIKE: Final = re.compile(
    r"(?![vcf]_|\$|[-+]?[\d.]+(?:[eE][-+]?\d+)?\Z)(?=[^*(){}]*+\Z)(?=[^./]*+[./])[^A-Za-z]*+[A-Za-z]"
)
"""A word with a letter, and with a dot or a slash, that is no number, variable or reference to a fix or compute."""


def refusal(command: Command, whole: Command | Unknown) -> str | None:
    """Why this command cannot be in a script, None where it can. Numbers of placeholders are filled in.

    Args:
        whole: the same with the values of LAMMPS's variables, or why they cannot be known.
    """
    if isinstance(whole, Unknown):
        return _hidden(command.texts) or str(whole)
    if not whole.texts:
        return "expected a command, got a variable without text"
    if whole is not command and (reason := misspelt(whole.text)):
        return f"with its variables it is {shown(whole.text)}: {reason}"
    return _refused(whole) or _hidden(command.texts) or _options(whole) or _wrong_words(command, whole)


def _refused(whole: Command) -> str | None:
    """Commands and styles that cannot be at all."""
    words = whole.texts
    name = without_suffix(words[0])
    if (reason := REFUSED.get(name) or _refused_kind(name)) is not None:
        return f"{words[0]} cannot be used: {reason}"
    if name == "fix" and len(words) > 3:
        style = without_suffix(words[3])
        reason = REFUSED_FIXES.get(style) or _written_file(style, words)
        return reason and f"fix {words[3]} cannot be used: {reason}"
    if name == "variable" and len(words) > 2 and words[2] in REFUSED_VARIABLES:
        return f"variable of style {words[2]} cannot be used: {REFUSED_VARIABLES[words[2]]}"
    if name in _STYLES and (found := _PYTHON & {without_suffix(word) for word in words[1:]}):
        return f"{name} with {min(found)} cannot be used: {_SHELL}"
    return None


def _refused_kind(name: str) -> str | None:
    """Commands of a kind, also those that are not listed."""
    if name.startswith("write_") or name.endswith("_write"):
        return _WRITES
    return _STEPS if name.startswith("read_") and name != "read_data" else None


def _options(whole: Command) -> str | None:
    """Options that cannot be."""
    words = whole.texts
    if _OUTPUTS.get(words[0], frozenset()) & set(words[2 if words[0] == "print" else 1 :]):
        return f"{words[0]} to a file cannot be used: {_WRITES}"
    if words[0] == "timer" and "timeout" in words:
        return f"timer timeout cannot be used: {REFUSED_FIXES['halt']}"
    if words[0] == "atom_modify" and re.search(r"\bid\s+no\b", whole.text):
        return "atom_modify id no cannot be used: frames need the ids of atoms"
    return None


def _wrong_words(command: Command, whole: Command) -> str | None:
    """Numbers and names of files must be written out."""
    if command.name == "run":
        return _wrong_run(command.texts)
    if whole is command:
        return None
    words, named = command.texts, file_words(whole)
    hidden = [number for number in named if whole.texts[number] not in words]
    if not hidden:
        return None
    same_place = words[hidden[0]] if len(words) == len(whole.texts) else ""
    shown_as = same_place if "$" in same_place else next(word for word in words if "$" in word)
    return f"expected a plain file name, got {shown(shown_as)}"


def without_suffix(style: str) -> str:
    """A style, or the name of a command, without the suffix of an accelerator."""
    return _SUFFIX.sub("", style)


def is_once(command: Command) -> bool:
    """Whether it changes atoms, cell or groups, which a restart file holds, rather than what acts on them."""
    words = command.texts
    if words[0] == "group":
        return len(words) < 3 or words[2] not in ("dynamic", "static")
    return words[0] in _ONCE or words == ("run", "0")


def file_words(command: Command) -> dict[int, bool]:
    """The numbers of the words that may name files to be read, and whether there must be one of that name."""
    words = command.texts
    required = _REQUIRED_FILES.get(words[0], len(words))
    first = _FIRST_WORD_OF_FILES.get(words[0], len(words))
    if words[0] == "variable" and words[2:3] not in (("file",), ("atomfile",)):
        first = len(words)
    found = {number: False for number in range(first, len(words)) if _FILE_LIKE.match(words[number])}
    if words[0] == "pair_coeff" and re.match("[A-Za-z]", "".join(words[3:4])):
        found.setdefault(3, False)
    if words[0] == "pair_coeff" and (named := [number for number in found if "." in words[number]]):
        found[named[0]] = True
    if required < len(words):
        found[required] = True
    return found


def _hidden(words: Sequence[str]) -> str | None:
    """A variable may be several words, so that one before the style of a fix hides the style, too."""
    if "$" in words[0]:
        return "the name of a command must be written out, without a variable of LAMMPS"
    if words[0] in ("fix", "compute") and (hidden := [word for word in words[1:4] if "$" in word]):
        return f"ID, group and style must be written out, without a variable of LAMMPS, got {hidden[0]}"
    return None


def _written_file(style: str, words: Sequence[str]) -> str | None:
    writes = any(style.startswith(styles) and names & set(words[4:]) for styles, names in _FIX_OUTPUTS)
    return _WRITES if writes else None


def _wrong_run(words: Sequence[str]) -> str | None:
    instead = "expected run N with an integer N and nothing after it"
    if len(words) < 2:
        return f"{instead}, got run alone"
    steps, options = words[1], words[2:]
    if "{{" in steps:
        return f"{instead}, got run {steps}: steps are the same for all candidates, from growth.values"
    if "$" in steps:
        name = "".join(re.findall(r"\w+", steps.replace("v_", ""))[:1]) or "steps"
        return f"{instead}, got run {steps}: write a placeholder such as {{{{{name}}}}}, with a number in growth.values"
    if not re.fullmatch(r"\d{1,10}", steps):
        return f"{instead}, got run {steps}"
    if options:
        why = {"every": _FLOW, "upto": "write only the steps of this run"}.get(options[0], "ramps span a run anyway")
        return f"{instead}, got run {steps} {' '.join(options)}: {why}"
    return None
