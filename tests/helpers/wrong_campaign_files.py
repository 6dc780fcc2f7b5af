"""Campaign files that are wrong, each in one way, and a piece of what must be said about it.

A file is the good one below with one piece replaced, a separate text, or an action that leaves anything but a good
file or a good folder at the path. {file}, {folder} and {parent} in the expected text stand for the paths.
"""

from __future__ import annotations

import _ctypes
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moireloop.campaign_file.load import Purpose

GOOD = """\
name = "search"
folder = "search.campaign"

[[targets]]
twist_deg = 8.2
tolerance_deg = 0.3

[[targets]]
twist_deg = 21.8

[space]
temperature_k = [1500.0, 3500.0]
lattice_strain = [0.0, 0.05]
shear_strain = [0.0, 0.0575]

[budget]
results = 40
wall_time_s = 600

[growth]
model = "bead"
cells = [12, 12]

[workers]
count = 2
ranks = 1

[frames]
every_steps = 500

[analyzers]
count = 1

[optimizer]
strategy = "qei"
initial = 10

[redis]
url = "redis://127.0.0.1:6379/0"

[network]
host = "127.0.0.1"
"""


@dataclass(frozen=True)
class WrongFile:
    """One wrong file: what is done to get it, and what the message must hold."""

    name: str
    expected: str
    old: str = ""
    new: str = ""
    text: str | None = None
    act: Callable[[Path], None] | None = None
    purpose: Purpose = "run"

    def put(self, path: Path) -> None:
        """Write the file to a path in an empty folder, and do what else it takes."""
        if self.old and GOOD.count(self.old) != 1:
            raise AssertionError(f"expected {self.old!r} once in the good file")
        text = self.text if self.text is not None else GOOD.replace(self.old, self.new)
        path.write_text(text)
        if self.act is not None:
            self.act(path)


def _missing(path: Path) -> None:
    path.unlink()


def _is_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _is_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _is_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)


def _grows(path: Path) -> None:
    """A file that is larger than it says, like a file of /proc."""
    path.unlink()
    path.symlink_to("/proc/self/pagemap")


def _is_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _not_utf8(path: Path) -> None:
    path.write_bytes(GOOD.encode().replace(b"search", b"s\xe4rch", 1))


def _utf16(path: Path) -> None:
    path.write_bytes(GOOD.encode("utf-16"))


def _utf16_unmarked(path: Path) -> None:
    path.write_bytes(GOOD.encode("utf-16-be"))


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _huge(path: Path) -> None:
    path.write_text(GOOD + "# long\n" * 200_000)


def _folder_is_file(path: Path) -> None:
    path.with_name("search.campaign").write_text("")


def _folder_loop(path: Path) -> None:
    path.with_name("search.campaign").symlink_to(path.with_name("search.campaign"))


def _folder_of_a_person(path: Path) -> None:
    path.with_name("search.campaign").mkdir()
    (path.with_name("search.campaign") / "thesis.tex").write_text("")


def _with_force_field(path: str) -> str:
    return GOOD.replace('model = "bead"', f'model = "mos2-reaxff"\nforce_field = "{path}"')


def _copy_with(text: str) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        folder = path.with_name("search.campaign")
        folder.mkdir()
        (folder / "campaign.toml").write_text(text)

    return act


WRONG_FILES = [
    WrongFile("missing file", "{file}: no such file", act=_missing),
    WrongFile("a folder", "expected a campaign file, got a folder", act=_is_folder),
    WrongFile("a pipe", "expected a campaign file, got a device, socket or pipe", act=_is_pipe),
    WrongFile("an endless device", "expected a campaign file, got a device, socket or pipe", act=_is_device),
    WrongFile("a socket", "expected a campaign file, got a device, socket or pipe", act=_is_socket),
    WrongFile("larger than it says", "{file}: expected", act=_grows),
    WrongFile("a link to itself", "cannot be read", act=_loop),
    WrongFile("huge", "expected at most 1000000 bytes", act=_huge),
    WrongFile("not UTF-8", "line 1: expected UTF-8 text, got the byte 0xe4", act=_not_utf8),
    WrongFile("UTF-16", "got the byte 0xff; it looks like UTF-16: save it as UTF-8", act=_utf16),
    WrongFile("UTF-16 without a mark", "it has null bytes, as UTF-16 has: save it as UTF-8", act=_utf16_unmarked),
    WrongFile("empty", "name: expected this key", text=""),
    WrongFile("no TOML", "line 12", "temperature_k = [1500.0, 3500.0]", "temperature_k = [1500.0 3500.0]"),
    WrongFile("a key twice", "line 33", "count = 1\n", "count = 1\ncount = 2\n"),
    WrongFile("deep nesting", "nested too deeply", text="name = " + "[" * 50_000),
    WrongFile("deep tables", "line 36: expected at most 32 lists and tables inside each other", 'initial = 10',
              "options = " + "{a = " * 40 + "1" + "}" * 40),
    WrongFile("deep lists", "nested too deeply", 'initial = 10', f"options = {{a = {'[' * 9000}{']' * 9000}}}"),
    WrongFile("a key of 100 000 parts", "line 43: expected a key of at most 32 parts",
              text=GOOD + ".".join(["a"] * 100_000) + " = 1\n"),
    WrongFile("a heading of 100 000 parts", "line 43: expected a key of at most 32 parts",
              text=f"{GOOD}[{'.'.join(['a'] * 100_000)}]\n"),
    WrongFile("a key of 100 000 quoted parts", "line 43: expected a key of at most 32 parts",
              text=GOOD + " . ".join(['"."'] * 100_000) + " = 1\n"),
    WrongFile("990 kB of unknown keys", "line 2001: expected at most 2000 keys",
              text="".join(f"key_{number} = 1\n" for number in range(62_000))),
    WrongFile("2000 unknown keys", "{file}: key_0: unknown key; expected one of name",
              text="".join(f"key_{number} = 1\n" for number in range(2000))),
    WrongFile("2000 unknown keys that are like known ones", "{file}: budgets_0: unknown key",
              text="".join(f"budgets_{number} = 1\n" for number in range(2000))),
    WrongFile("2000 unknown keys of one section", "budget.key_0: unknown key", 'wall_time_s = 600',
              "".join(f"key_{number} = 1\n" for number in range(1900))),
    WrongFile("60 000 targets", "line 4001: expected at most 2000 keys", text="[[targets]]\n\n" * 60_000),
    WrongFile("490 000 numbers", "expected at most 100000 values in lists", "[12, 12]", f"[{'1,' * 490_000}]"),
    WrongFile("100 000 numbers", "growth.cells: expected at most 2 entries", "[12, 12]", f"[{'5,' * 90_000}]"),
    WrongFile("a key of 900 kB", "{file}: kkkk", text=f"{'k' * 900_000} = 1\n{GOOD}"),
    WrongFile("a name of 900 kB", "name: expected a string that matches", '"search"', f'"{"s" * 900_000}"'),
    WrongFile("900 kB of quotes", "{file}: expected TOML: ", text='name = "' + r'\"' * 450_000),
    WrongFile("a number without end", "expected TOML: a number with too many digits", "results = 40",
              f"results = {'9' * 5000}"),
    WrongFile("a hexadecimal number without end", "expected TOML: a number with too many digits", "results = 40",
              f"results = 0x{'9' * 900_000}"),
    WrongFile("an integer beyond 64 bit", "budget.results: expected at most 1000000", "results = 40",
              f"results = {'9' * 30}"),
    WrongFile("a number beyond all", "budget.wall_time_s: expected a finite number, got inf", "= 600", "= 1e999"),
    WrongFile("a date for a number", "targets[0].twist_deg: expected a number", "= 8.2", "= 1979-05-27"),
    WrongFile("a date that is none", "expected TOML: ", "= 8.2", "= 1979-02-30"),
    WrongFile("a NUL", "expected TOML: ", "results = 40", "results = 40\0"),
    WrongFile("a lone carriage return", "expected TOML: ", "results = 40", "results = 40\rranks = 1"),
    WrongFile("a byte order mark within", "; a byte order mark (U+FEFF) is in line 28: remove it", "[frames]",
              "\ufeff[frames]"),
    WrongFile("a table twice", "expected TOML: ", "[frames]", "[workers]\ncount = 1\n\n[frames]"),
    WrongFile("unknown key", "{file}: workers.cuont: unknown key; did you mean workers.count?",
              "count = 2", "cuont = 2"),
    WrongFile("unknown section", "optimiser: unknown key; did you mean optimizer?", "[optimizer]", "[optimiser]"),
    WrongFile("single table", "target: unknown key; did you mean targets?", text="[target]\ntwist_deg = 8"),
    WrongFile("key of another section", "did you mean budget.results?", "initial = 10", "results = 10"),
    WrongFile("key that is like none", "expected one of url", 'url = "redis:', 'zzz = "redis:'),
    WrongFile("unknown key in a target", "targets[1].twist: unknown key; did you mean targets[1].twist_deg?",
              "twist_deg = 21.8", "twist = 21.8"),
    WrongFile("line end in a key", "name", 'name = "search"', 'name = "search"\n"a\\nb" = 1'),
    WrongFile("no name", "name: expected this key", 'name = "search"\n', ""),
    WrongFile("name with a space", "name: expected a string that matches", 'name = "search"', 'name = "my search"'),
    WrongFile("name is a number", "name: expected a string", 'name = "search"', "name = 7"),
    WrongFile("name is a date", "name: expected", 'name = "search"', "name = [1979-05-27]"),
    WrongFile("no workers", "workers: expected this key", "[workers]\ncount = 2\nranks = 1\n", ""),
    WrongFile("no targets", "targets: expected at least 1 entries", text="targets = []\n" + GOOD.replace(
        "[[targets]]\ntwist_deg = 8.2\ntolerance_deg = 0.3\n\n[[targets]]\ntwist_deg = 21.8\n", "")),
    WrongFile("targets as one table", "write [[targets]] instead of [targets]", text=GOOD.replace(
        "[[targets]]\ntwist_deg = 21.8\n", "").replace("[[targets]]", "[targets]")),
    WrongFile("target below 0", "targets[0].twist_deg: expected at least 0 ", "twist_deg = 8.2", "twist_deg = -8.2"),
    WrongFile("target above 30", "targets[1].twist_deg: expected at most 30 ", "= 21.8", "= 38.2"),
    WrongFile("target is infinite", "targets[0].twist_deg: expected a finite number", "= 8.2", "= inf"),
    WrongFile("target is a string", "targets[0].twist_deg: expected a number", "= 8.2", '= "8.2"'),
    WrongFile("same target twice", "targets[1].twist_deg: expected a twist different from targets[0]", "= 21.8",
              "= 8.2"),
    WrongFile("no tolerance", "targets[0].tolerance_deg: expected more than 0", "tolerance_deg = 0.3",
              "tolerance_deg = 0"),
    WrongFile("empty range", "space.lattice_strain: expected low below high", "[0.0, 0.05]", "[0.05, 0.05]"),
    WrongFile("inverted bounds", "space.temperature_k: expected low below high, got [3500.0, 1500.0]",
              "[1500.0, 3500.0]", "[3500.0, 1500.0]"),
    WrongFile("bound is not a number", "space.lattice_strain[0]: expected a finite number",
              "[0.0, 0.05]", "[nan, 0.05]"),
    WrongFile("three bounds", "space.lattice_strain: expected at most 2 entries", "[0.0, 0.05]", "[0.0, 0.02, 0.05]"),
    WrongFile("range is a number", "space.lattice_strain: expected a list", "[0.0, 0.05]", "0.05"),
    WrongFile("misspelt parameter", "space.temperature: unknown key; did you mean space.temperature_k?",
              "temperature_k =", "temperature ="),
    WrongFile("parameter too many", "space.colour: unknown key; expected one of temperature_k",
              "[budget]", "colour = [1.0, 2.0]\n\n[budget]"),
    WrongFile("parameter missing", "space.shear_strain: growth model 'bead' needs a range",
              "shear_strain = [0.0, 0.0575]", ""),
    WrongFile("beyond the model's limits", "space.temperature_k: expected a range within [1, 20000]",
              "[1500.0, 3500.0]", "[0.0, 3500.0]"),
    WrongFile("negative budget", "budget.results: expected at least 1", "results = 40", "results = -40"),
    WrongFile("no budget", "budget.results: expected at least 1", "results = 40", "results = 0"),
    WrongFile("half a result", "budget.results: expected an integer", "results = 40", "results = 40.5"),
    WrongFile("budget is true", "budget.results: expected an integer", "results = 40", "results = true"),
    WrongFile("no time", "budget.wall_time_s: expected more than 0", "wall_time_s = 600", "wall_time_s = 0"),
    WrongFile("unknown model", "growth.model: expected one of 'bead'", 'model = "bead"', 'model = "baed"'),
    WrongFile("nearest model", "did you mean 'bead'?", 'model = "bead"', 'model = "beads"'),
    WrongFile("no model", "growth.model: expected this key, one of 'bead', ", 'model = "bead"\n', ""),
    WrongFile("key of another model", "growth.anneal_steps: unknown key; expected one of model, cells",
              'model = "bead"', 'model = "noop"\nanneal_steps = 9'),
    WrongFile("one cell", "growth.cells[0]: expected at least 2", "cells = [12, 12]", "cells = [1, 12]"),
    WrongFile("model's own check", "growth: expected cutoff_angstrom beyond",
              "cells = [12, 12]", "cutoff_angstrom = 2.0"),
    WrongFile("negative workers", 'workers.count: expected a number of workers from 0 to 4096, or "all", got -1',
              "count = 2", "count = -1"),
    WrongFile("more workers than cores", "workers.count: expected count x ranks of at most 4",
              "count = 2", "count = 5"),
    WrongFile("more ranks than cores", "workers.ranks: expected count x ranks of at most 4", "ranks = 1", "ranks = 8"),
    WrongFile("unknown launcher", "workers.launcher: expected one that is installed (",
              "ranks = 1", 'launcher = "none"'),
    WrongFile("launcher options for nobody", "workers.launcher_options: expected none with the launcher \"local\"",
              "ranks = 1", 'launcher_options = { cpu-bind = "cores" }'),
    WrongFile("launcher option with dashes", "workers.launcher_options: expected names of options without dashes",
              "ranks = 1", 'launcher_options = { --cpu-bind = "cores" }'),
    WrongFile("launcher option that is a number", "workers.launcher_options.mem: expected a string",
              "ranks = 1", "launcher_options = { mem = 3 }"),
    WrongFile("more nodes than this one", "workers.nodes: expected none with the launcher \"local\"",
              "ranks = 1", "ranks = 2\nnodes = 2"),
    WrongFile("GPUs without a scheduler", 'workers.gpus: expected none with the launcher "local"', "ranks = 1",
              "gpus = 1"),
    WrongFile("more cores than there are", "workers.ranks: expected count x ranks x cores of at most 4", "ranks = 1",
              "cores = 8"),
    WrongFile("more threads than cores", "workers.ranks: expected count x ranks x threads of at most 4", "[frames]",
              '[lammps]\narguments = ["-sf", "omp", "-pk", "omp", "8"]\n\n[frames]'),
    WrongFile("LAMMPS option of moireloop's own", "lammps.arguments: expected the switches -sf,", "[frames]",
              '[lammps]\narguments = ["-sf", "omp", "-log", "mine"]\n\n[frames]'),
    WrongFile("LAMMPS option that is none", "LAMMPS does not start with -pk gpu 1: ERROR: Package gpu", "[frames]",
              '[lammps]\narguments = ["-pk", "gpu", "1"]\n\n[frames]'),
    WrongFile("missing LAMMPS", "lammps.library: expected a shared library of LAMMPS, got {parent}/no.so: ",
              "[frames]", '[lammps]\nlibrary = "no.so"\n\n[frames]'),
    WrongFile("LAMMPS is a text", "lammps.library: expected a shared library of LAMMPS, got {file}: ", "[frames]",
              '[lammps]\nlibrary = "search.toml"\n\n[frames]'),
    WrongFile("LAMMPS of nobody", "lammps.library: expected a path, got '~nobody-at-all/x'", "[frames]",
              '[lammps]\nlibrary = "~nobody-at-all/x"\n\n[frames]'),
    WrongFile("LAMMPS is another library", "lammps.library: expected a shared library of LAMMPS, got /", "[frames]",
              f'[lammps]\nlibrary = "{_ctypes.__file__}"\n\n[frames]'),
    WrongFile("frames never", "frames.every_steps: expected at least 1", "every_steps = 500", "every_steps = 0"),
    WrongFile("unknown transport", "frames.transport: expected one of 'auto', 'ipc', 'tcp', got 'udp'",
              "every_steps = 500", 'transport = "udp"'),
    WrongFile("no analyzers", "analyzers.count: expected at least 1", "count = 1\n", "count = 0\n"),
    WrongFile("unknown analysis", "analyzers.analyses[0]: expected an analyzer that is installed, got 'no_such_thing'",
              "count = 1\n", 'count = 1\nanalyses = ["no_such_thing"]\n'),
    WrongFile("an analysis twice", "analyzers: expected each of the analyses once, got 'x' twice",
              "count = 1\n", 'count = 1\nanalyses = ["x", "x"]\n'),
    WrongFile("unknown strategy", "optimizer.strategy: expected one of", 'strategy = "qei"', 'strategy = "annealing"'),
    WrongFile("nearest strategy", "did you mean 'thompson'?", 'strategy = "qei"', 'strategy = "Thomson"'),
    WrongFile("initial design beyond the budget", "optimizer.initial: expected at most budget.results = 40, got 41",
              "initial = 10", "initial = 41"),
    WrongFile("no force field", "growth.force_field: expected this key", 'model = "bead"', 'model = "mos2-reaxff"'),
    WrongFile("force field that is not there", "/ffield, which does not exist",
              text=_with_force_field("ffield")),
    WrongFile("force field that is a folder", "growth.force_field: expected a file, got /proc, which is not a file",
              text=_with_force_field("/proc")),
    WrongFile("no such preset", "growth.preset: expected", 'model = "bead"', 'model = "mos2-rebo"\npreset = "big"'),
    WrongFile("quench of no time", "growth.quench_ps: expected", 'model = "bead"',
              'model = "mos2-rebo"\nquench_ps = 0.0'),
    WrongFile("batch beyond the budget", "optimizer.n_batch: expected at most budget.results = 40, got 50",
              "initial = 10", 'mode = "batch"\nn_batch = 50'),
    WrongFile("default batch beyond the budget", "got 15 (the default)", text=GOOD.replace(
        "initial = 10", 'mode = "batch"').replace("results = 40", "results = 12")),
    WrongFile("no Redis URL", "redis.url: expected redis://", "redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
    WrongFile("no host", "network.host: expected a string that matches", 'host = "127.0.0.1"', 'host = "a b"'),
    WrongFile("interface without a name", "network.host: expected a string that matches", 'host = "127.0.0.1"',
              'host = "interface:"'),
    WrongFile("no range of ports", 'network.ports: expected a range of ports from 1024 to 65535 such as "41000-41099"',
              'host = "127.0.0.1"', 'ports = "41000-"'),
    WrongFile("ports of the wrong order", "the lower one first, got '41099-41000'", 'host = "127.0.0.1"',
              'ports = "41099-41000"'),
    WrongFile("a port as a number", "network.ports: expected", 'host = "127.0.0.1"', "ports = 41000"),
    WrongFile("Redis of another host in clear", "got node-17 without TLS", "redis://127.0.0.1:6379/0", "redis://node-17/0"),
    WrongFile("section is a number", "analyzers: expected a table",
              text="analyzers = 3\n" + GOOD.replace("[analyzers]\ncount = 1\n", "")),
    WrongFile("folder is a number", "folder: expected", 'folder = "search.campaign"', "folder = 3"),
    WrongFile("folder without a name", "folder: expected a path", 'folder = "search.campaign"', 'folder = ""'),
    WrongFile("folder of nobody", "folder: expected a path, got '~nobody-at-all/x'", 'folder = "search.campaign"',
              'folder = "~nobody-at-all/x"'),
    WrongFile("folder with a NUL", "folder: expected a path", 'folder = "search.campaign"', 'folder = "a\\u0000b"'),
    WrongFile("folder with a long name", "folder: expected a", 'folder = "search.campaign"',
              f'folder = "{"x" * 300}"'),
    WrongFile("folder is a link to itself", "folder: expected a path", act=_folder_loop),
    WrongFile("folder in no folder", "folder: expected a place in a folder that exists", 'folder = "search.campaign"',
              'folder = "no/such/place"'),
    WrongFile("unwritable folder", "folder: expected a place that can be written to", 'folder = "search.campaign"',
              'folder = "/proc/campaign"'),
    WrongFile("folder that exists and is unwritable", "folder: expected", 'folder = "search.campaign"',
              'folder = "/proc/self"'),
    WrongFile("folder is a file", "folder: expected a folder", act=_folder_is_file),
    WrongFile("folder of somebody", "folder: expected a new or empty folder, got {folder}, which holds 'thesis.tex'",
              act=_folder_of_a_person),
    WrongFile("folder of the file", "folder: expected", 'folder = "search.campaign"', 'folder = "."'),
    WrongFile("folder of another campaign", "which holds campaign 'other'",
              act=_copy_with(GOOD.replace('name = "search"', 'name = "other"'))),
    WrongFile("started already", "continue with `moireloop resume {file}`", act=_copy_with(GOOD)),
    WrongFile("broken copy", "folder: holds a campaign whose file cannot be read", act=_copy_with("broken")),
    WrongFile("nothing to resume", "folder: expected a campaign that was started", purpose="resume"),
    WrongFile("resume with another model", "growth.model: expected 'noop', with which the campaign was started",
              act=_copy_with(GOOD.replace('"bead"', '"noop"')), purpose="resume"),
    WrongFile("resume with other numbers of the model", "growth.cells: expected [10, 12]",
              act=_copy_with(GOOD.replace("[12, 12]", "[10, 12]")), purpose="resume"),
    WrongFile("resume with another Redis", "redis.url: expected",
              act=_copy_with(GOOD.replace(":6379/0", ":6380/0")), purpose="resume"),
    WrongFile("resume under another name", "which holds campaign 'other'",
              act=_copy_with(GOOD.replace('name = "search"', 'name = "other"')), purpose="resume"),
]  # fmt: skip
