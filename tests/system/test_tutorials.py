"""The tutorials, run as a reader does: the blocks of each page, in their order, over one campaign."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from moireloop_broker.connection import free_port
from tests.helpers.waiting import wait_until
from tests.system.running import is_answering

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r'^```(\w+)(?: title="(\S+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
BEFORE_OTHERS = "first-campaign"
ELSEWHERE = {"own-input": "tests/system/test_script_campaign.py", "notebook": "tests/system/test_notebook.py"}
"""Pages with a part that needs a separate campaign, which the named test runs."""

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("default")]


@dataclass
class Reader:
    """Somebody who follows a page in a folder, with the commands of this environment on the PATH."""

    folder: Path
    ports: dict[str, str]

    def __post_init__(self) -> None:
        self.behind: list[subprocess.Popen[bytes]] = []
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "XDG_STATE_HOME": str(self.folder / "state")}

    def follow(self, page: str) -> str:
        """Do what the page says, one block after another. Returns what was printed."""
        return "".join(self._block(*block) for block in BLOCK.findall((PAGES / f"{page}.md").read_text("utf-8")))

    def _block(self, language: str, title: str, text: str) -> str:
        text = text.replace("CHECKOUT", str(ROOT))
        for written, free in self.ports.items():
            text = text.replace(written, free)
        if title:
            (self.folder / title).write_text(text, encoding="utf-8")
        elif language == "python":
            return self._run([sys.executable, "-c", text])
        elif language == "toml":
            tomllib.loads(text)
        else:
            assert language == "console", language
            return "".join(self._command(line) for line in text.splitlines())
        return ""

    def _command(self, line: str) -> str:
        command = line.removeprefix("$ ")
        assert command != line, line
        if command.startswith("docker "):
            assert_compose_takes(command)
            return ""
        if command.startswith("sbatch "):
            return self._run(["bash", "-n", command.removeprefix("sbatch ")])
        if not command.endswith(" &"):
            return self._run(["bash", "-c", command])
        arguments = command.removesuffix(" &").split()
        with (self.folder / f"{arguments[-1]}.txt").open("wb") as output:
            self.behind.append(
                subprocess.Popen(
                    arguments, cwd=self.folder, env=self.environment,
                    stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )
            )  # fmt: skip
        if arguments[0] == "moireloop":
            wait_until(lambda: is_answering(self.folder / f"{Path(arguments[-1]).stem}.campaign"), "the campaign runs")
        return ""

    def _run(self, arguments: list[str]) -> str:
        done = subprocess.run(
            arguments, cwd=self.folder, env=self.environment, text=True, timeout=200, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stdout)
        return done.stdout

    def close(self) -> None:
        """End what still runs behind."""
        for process in self.behind:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def assert_compose_takes(command: str) -> None:
    """The command has a word of compose, names a file that is there, and services that this file has."""
    words = command.split()
    assert words[1:3] == ["compose", "-f"]
    services = yaml.safe_load((ROOT / words[3]).read_text(encoding="utf-8"))["services"]
    assert words[4] in ("build", "up", "logs", "run", "cp", "down"), command
    named = re.findall(r"--scale (\w+)=|logs -f (\w+)|run --rm (\w+)|cp (\w+):", command)
    assert {name for found in named for name in found if name} <= set(services)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reader, str]]:
    """A reader who has followed the first tutorial, and what it printed."""
    ports = {port: str(free_port("127.0.0.1")) for port in ("5567", "5568")}
    somebody = Reader(tmp_path_factory.mktemp("tutorials"), ports)
    try:
        printed = somebody.follow(BEFORE_OTHERS)
        code = somebody.behind[0].wait(200)
        assert code == 0, (somebody.folder / "first.toml.txt").read_text(encoding="utf-8")
        somebody.behind.clear()
        yield somebody, printed
    finally:
        somebody.close()


def test_first_campaign(reader: tuple[Reader, str]) -> None:
    """Six results, a table, then a controller whose recipe gets its result and which stops the campaign."""
    _, printed = reader
    assert "ended    all 6 results are there" in printed
    assert printed.count("'outcome': 'measured'") + printed.count("'outcome': 'refused'") == 6
    assert printed.splitlines()[-1].startswith("mine-1 ")


def test_no_page_is_forgotten() -> None:
    """Each tutorial has its test here."""
    assert {path.stem for path in PAGES.glob("*.md")} == {
        BEFORE_OTHERS, "own-input", "cluster", "containers", "notebook", "bluesky", "compare",
    }  # fmt: skip


def test_cluster(reader: tuple[Reader, str]) -> None:
    """Bash takes the job script, which names the file. tests/schedulers/test_tutorial.py has Slurm run it."""
    somebody, _ = reader
    page = (PAGES / "cluster.md").read_text("utf-8").replace("$ moireloop status cluster.toml\n", "")
    for block in BLOCK.findall(page):
        somebody._block(*block)
    script = (somebody.folder / "cluster.sh").read_text(encoding="utf-8")
    assert "#SBATCH --time=00:10:00" in script
    assert "--or-resume" in script


def test_containers(reader: tuple[Reader, str]) -> None:
    """Compose takes the commands; tests/system/test_containers.py runs the commands of the containers themselves."""
    reader[0].follow("containers")


def test_notebook(reader: tuple[Reader, str]) -> None:
    """What is read of the finished campaign has all its results."""
    assert "mine-1" in reader[0].follow("notebook")


def test_compare(reader: tuple[Reader, str]) -> None:
    """The computed pattern has the twist that it was computed with."""
    somebody, _ = reader
    assert "twist 8.200 degrees" in somebody.follow("compare")
    assert (somebody.folder / "pattern.png").exists()


def test_bluesky(reader: tuple[Reader, str]) -> None:
    """The consumer is sent a run of each candidate and of each session; the proxy forgets what comes before it."""
    somebody, _ = reader
    somebody.follow("bluesky")
    seen = somebody.folder / "consumer.py.txt"
    (publish,) = re.findall(r"^\$ (moireloop bluesky .*)$", (PAGES / "bluesky.md").read_text("utf-8"), re.MULTILINE)

    def has_all() -> bool:
        """Published again until the consumer listens."""
        if "start campaign" not in seen.read_text(encoding="utf-8"):
            somebody._block("console", "", f"$ {publish} --again")
        return "start campaign" in seen.read_text(encoding="utf-8")

    wait_until(has_all, "the consumer has seen the session", 100)
    assert "start grow" in seen.read_text(encoding="utf-8")
