"""The arrows of the house: which package imports which, and that what is pure stays pure (docs/adr/0001)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "moireloop_broker": set(),
    "moireloop_worker": {"moireloop_broker"},
    "moireloop_analyzer": {"moireloop_broker"},
    "moireloop_optimizer": {"moireloop_broker"},
    "moireloop": {
        "moireloop_broker", "moireloop_worker", "moireloop_analyzer", "moireloop_optimizer", "moireloop_gateway",
    },
    "moireloop_gateway": {"moireloop_broker", "moireloop", "moireloop_worker", "moireloop_analyzer"},
}  # fmt: skip
ROOMS = {
    "moireloop_broker": (
        "bulk", "extras", "files", "problems", "network", "settings", "folder", "identity", "contract", "processes",
        "streams", "state_changes", "archive", "state", "connection", "grants", "membership",
        "archiving", "service", "checks", "__main__",
    ),
    "moireloop_broker.state": (
        "keys", "redis_client", "series", "scripts", "event_log", "settings_store", "instructions", "work_queue",
        "lease_watch", "analysis_queue", "observations", "campaign_state",
    ),
    "moireloop_worker": (
        "settings", "inputs", "models", "launchers", "flux", "slurm", "lammps", "checks", "run", "pool", "__main__",
    ),
    "moireloop_analyzer": (
        "refusal", "settings", "diffraction_settings", "geometry", "layers", "sites", "lattice", "crystals", "estimate",
        "twist", "analysis", "measurement", "warm_up", "structure", "patterns", "scattering", "plugins", "settling",
        "checks", "service", "__main__",
    ),
    "moireloop_analyzer.patterns": (
        "peaks", "reciprocal", "indexed", "layer_values", "lattices", "described", "distance", "image", "scans",
        "joining", "doubts", "indexing",
    ),
    "moireloop_optimizer": (
        "growths", "runs", "strategy", "strategy_names", "settings", "sobol", "auto", "regret", "repeats", "strategies",
        "generators", "advice", "discrepancy", "checks", "service", "__main__",
    ),
    "moireloop": (
        "exit_codes", "structure_files", "cells", "kept", "results", "experiment", "campaign_file", "client",
        "campaign", "scheduling", "services", "session", "stored", "bluesky", "figures", "terminal", "commands",
        "command_line", "cli", "__main__",
    ),
    "moireloop.commands": ("started", "planning", "looking", "steering", "running"),
    "moireloop_gateway": ("access", "programs", "picture", "sources", "web", "serve"),
    "moireloop_gateway.web": (
        "guard", "steering", "patterns", "recipes", "downloads", "addresses", "openapi", "events", "gateway", "metrics",
        "endpoints", "app",
    ),
}  # fmt: skip
"""The rooms of each package, and of each room that has rooms; and the modules that lie directly in it: each imports
those before it alone.
"""
MOST_MODULES = 12
FOLDERS = ("broker", "worker", "analyzer", "optimizer", "campaign", "gateway")
OUTSIDE = {
    "zmq", "redis", "mpi4py", "lammps", "subprocess", "socket", "signal", "threading", "multiprocessing",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One module of ours: its name, its kind, and the modules that it imports when it runs."""

    name: str
    path: Path
    kind: str | None
    imports: frozenset[str]

    @property
    def package(self) -> str:
        """The package that it belongs to."""
        return self.name.partition(".")[0]


def kind_of(tree: ast.Module) -> str | None:
    """The mark in the first paragraph of the docstring, None where there is none or more than one."""
    paragraph = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    marks = re.findall(r"\((pure|adapter|main)\)", paragraph)
    return marks[0] if len(marks) == 1 else None


def imports_of(tree: ast.Module) -> Iterator[str]:
    """What is imported, wherever it stands: modules, and names out of modules, which may be modules too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def house() -> dict[str, Module]:
    """Every module of the six packages, by its name."""
    modules = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules[name] = Module(name, path, kind_of(tree), frozenset(imports_of(tree)))
    return modules


def ours(module: Module) -> set[str]:
    """The modules of ours that a module imports."""
    return {name for name in module.imports if name in house()}


def test_the_house_is_seen_whole() -> None:
    """All packages are there, and an arrow that is known to exist is seen."""
    assert {module.package for module in house().values()} == set(MAY_IMPORT)
    assert "moireloop_broker.contract.codec" in ours(house()["moireloop.client.client"])
    assert "zmq" in house()["moireloop.client.client"].imports


@pytest.mark.parametrize("name", sorted(house()))
def test_arrows_between_packages(name: str) -> None:
    """campaign may import all; worker, analyzer and optimizer the broker alone; the broker none."""
    module = house()[name]
    packages = {imported.partition(".")[0] for imported in module.imports} & set(MAY_IMPORT)
    assert packages - {module.package} <= MAY_IMPORT[module.package]


def test_the_gateway_is_imported_by_its_command_alone() -> None:
    """Whoever runs a campaign needs no gateway."""
    importing = {
        name for name, module in house().items() if any(n.startswith("moireloop_gateway") for n in ours(module))
    }
    assert {name for name in importing if not name.startswith("moireloop_gateway")} == {
        "moireloop.commands.looking.dashboard"
    }


@pytest.mark.parametrize("name", sorted(house()))
def test_the_gateway_goes_through_the_client(name: str) -> None:
    """It never opens Redis; the names of Redis' errors are all that it knows of it, where it reads what is stored."""
    if name.startswith("moireloop_gateway") and name != "moireloop_gateway.sources.stored":
        assert not {imported for imported in house()[name].imports if imported.partition(".")[0] == "redis"}
        assert not {imported for imported in ours(house()[name]) if imported.startswith("moireloop_broker.state")}


@pytest.mark.parametrize("name", sorted(house()))
def test_every_module_says_its_kind(name: str) -> None:
    """The docstring's first paragraph has exactly one of (pure), (adapter), (main)."""
    assert house()[name].kind is not None


@pytest.mark.parametrize("name", sorted(name for name, module in house().items() if module.kind == "pure"))
def test_pure_stays_pure(name: str) -> None:
    """A pure module imports no adapter and no main of ours, and nothing that reaches outside the process."""
    module = house()[name]
    wrong = {(name, imported) for imported in ours(module) if house()[imported].kind != "pure"}
    assert wrong == set()
    assert {imported.partition(".")[0] for imported in module.imports} & OUTSIDE == set()


@pytest.mark.parametrize("name", sorted(name for name, module in house().items() if module.kind == "adapter"))
def test_adapters_do_not_know_the_wiring(name: str) -> None:
    """An adapter imports no main."""
    wrong = {(name, imported) for imported in ours(house()[name]) if house()[imported].kind == "main"}
    assert wrong == set()


def room_in(whole: str, name: str) -> str | None:
    """The room of a module in a package or in a room of rooms, or the module itself where it lies directly there."""
    return name.removeprefix(f"{whole}.").partition(".")[0] if name.startswith(f"{whole}.") else None


def test_folders_in_rooms_are_known() -> None:
    """A room with folders inside has its order too."""
    deep = {name.rpartition(".")[0] for name in folders() if name.count(".") > 1}
    assert deep == {whole for whole in ROOMS if "." in whole}


@pytest.mark.parametrize("whole", sorted(ROOMS))
def test_all_rooms_are_known(whole: str) -> None:
    """Each room and each module that lies directly in a package has its place in the order, and no other has."""
    assert {room_in(whole, name) for name in house()} - {None} == set(ROOMS[whole])


@pytest.mark.parametrize("name", sorted(house()))
def test_arrows_between_rooms(name: str) -> None:
    """A room imports those before it in its package, never those after it."""
    for whole, order in ROOMS.items():
        mine = room_in(whole, name)
        inside = {room_in(whole, other) for other in ours(house()[name])} - {mine, None}
        assert mine is None or {room for room in inside if room and order.index(room) > order.index(mine)} == set()


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules, two or more, of which each is reached from each other (Tarjan's components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        path.append(name)
        for other in arrows[name]:
            if other not in number:
                visit(other)
            if other in path:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            group = set(path[path.index(name) :])
            del path[path.index(name) :]
            found.extend([group] if len(group) > 1 or name in arrows[name] else [])

    for name in arrows:
        if name not in number:
            visit(name)
    return found


def test_circles_are_found() -> None:
    """Two files that import each other, a longer circle, and a file that imports itself."""
    chain = {"a": {"b"}, "b": {"c"}, "c": set[str]()}
    assert circles(chain) == []
    assert circles(chain | {"c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert circles(chain | {"b": {"b"}}) == [{"b"}]


def test_no_files_import_each_other_in_a_circle() -> None:
    """Nor do they for types alone: what stands behind TYPE_CHECKING counts."""
    assert circles({name: ours(module) for name, module in house().items()}) == []


def folders() -> dict[str, list[str]]:
    """The modules of each folder, without its __init__."""
    inside: dict[str, list[str]] = {}
    for name, module in house().items():
        if module.path.name != "__init__.py":
            inside.setdefault(name.rpartition(".")[0], []).append(name)
    return inside


@pytest.mark.parametrize("folder", sorted(folders()))
def test_no_room_is_crowded(folder: str) -> None:
    """A folder holds at most MOST_MODULES modules."""
    assert len(folders()[folder]) <= MOST_MODULES


@pytest.mark.parametrize("folder", sorted(folders()))
def test_every_room_says_what_happens_there(folder: str) -> None:
    """The docstring of a folder's __init__ has a first line of three words or more, its kind not counted."""
    first = (ast.get_docstring(ast.parse(house()[folder].path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    assert len(re.sub(r"\((pure|adapter|main)\)", "", first).split()) >= 3


def test_no_file_that_is_named_after_nothing() -> None:
    """A module is named after what it does."""
    assert {name.rpartition(".")[2] for name in house()} & {"utils", "util", "helpers", "common", "misc"} == set()


ONLY_HERE = {
    "from_url(": "moireloop_broker.state.redis_client",
    "fcntl.flock(": "moireloop_broker.processes.file_lock",
    "tempfile.mkstemp(": "moireloop_broker.files",
    "os.fsync(": "moireloop_broker.files",
}


@pytest.mark.parametrize("words", ONLY_HERE)
def test_machinery_is_written_once(words: str) -> None:
    """Redis connections, file locks and files written whole have one place each."""
    found = {name for name, module in house().items() if words in module.path.read_text(encoding="utf-8")}
    assert found == {ONLY_HERE[words]}
