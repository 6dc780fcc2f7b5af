"""The example of a user's own strategy in a real campaign, run as a user runs it, shortened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.running import RunningCampaign
from tests.system.test_command_line import moireloop

EXAMPLES = Path(__file__).parents[2] / "examples"

RESULTS = 60
"""Runs of 0.2 s: after the first result some twenty Sobol points may be queued at once, before a model can be asked."""

pytestmark = pytest.mark.timeout(600)


def test_campaign_with_a_users_strategy(campaign: Callable[..., RunningCampaign], tmp_path: Path) -> None:
    """It chooses the candidates after the initial design; resume reports that the file has changed."""
    running = campaign(results=RESULTS, strategy="own_strategy.py:LocalWalk")
    shutil.copy(EXAMPLES / "own_strategy.py", tmp_path)
    # A recipe that hits early would take the last runs for its repeats.
    running.file.write_text(f"{running.file.read_text(encoding='utf-8')}replicates = 0\n", encoding="utf-8")
    running.start()
    code, output = running.end(280)
    assert code == 0, output
    running.assert_exactly_one_result_each(RESULTS)
    results = running.results_of_log()
    assert {result.candidate.strategy for result in results[-2:]} == {"LocalWalk"}
    kept = running.folder / "strategy" / "own_strategy.py"
    assert kept.read_bytes() == (EXAMPLES / "own_strategy.py").read_bytes()
    assert_goes_on_with_the_edited_file(running)
    assert_unknown_option_is_refused(running)


def assert_goes_on_with_the_edited_file(running: RunningCampaign) -> None:
    """A resumed campaign takes the file as it is now, and says that it is another."""
    file = running.file.with_name("own_strategy.py")
    file.write_text(file.read_text(encoding="utf-8").replace("LocalWalk", "Stroll"), encoding="utf-8")
    text = running.file.read_text(encoding="utf-8").replace("LocalWalk", "Stroll")
    running.file.write_text(text.replace(f"results = {RESULTS}", f"results = {RESULTS + 6}"), encoding="utf-8")
    running.start("resume")
    code, output = running.end(280)
    assert code == 0, output
    assert "changed optimizer.strategy: other content of own_strategy.py" in output
    made_by = [result.candidate.strategy for result in running.results_of_log()]
    assert len(made_by) == RESULTS + 6
    assert made_by[-1] == "Stroll"


def assert_unknown_option_is_refused(running: RunningCampaign) -> None:
    """Before anything starts, by `validate` and `resume` alike: exit code 2 and a line that names the option."""
    running.file.write_text(f"{running.file.read_text(encoding='utf-8')}\noptions = {{widht = 0.1}}\n")
    for command in ("validate", "resume"):
        ended = moireloop(command, running.file)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "optimizer.options: " in ended.stderr
        assert "unexpected keyword argument 'widht'" in ended.stderr
        assert ended.stderr.count("\n") == 1


COUNTED = """
from pathlib import Path

with Path({log!r}).open("a") as log:
    log.write(f"{{__file__}}\\n")


class Counted:
    def __init__(self, vocs): pass
    def suggest(self, n): return []
    def ingest(self, results): pass
"""


def test_strategy_of_the_user_is_tried_once(campaign: Callable[..., RunningCampaign], tmp_path: Path) -> None:
    """One `run` imports the user's file once, to try it; what proposes candidates is the copy in the folder."""
    running = campaign(results=4, steps=(200, 200), strategy="counted.py:Counted")
    log = tmp_path / "imported.txt"
    (tmp_path / "counted.py").write_text(COUNTED.format(log=str(log)), encoding="utf-8")
    running.start()
    code, output = running.end(280)
    assert code == 0, output
    imported = log.read_text(encoding="utf-8").splitlines()
    assert imported.count(str(tmp_path / "counted.py")) == 1
    assert set(imported) <= {str(tmp_path / "counted.py"), str(running.folder / "strategy" / "counted.py")}
