"""The reference pages say of the campaign file, the commands and the folder what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from docs.tools import reference
from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.results.table import results_table
from moireloop_analyzer.settings import AnalyzerSettings, HopelessPolicy, LearntPolicy, SettledPolicy
from moireloop_broker.contract.search import BudgetSettings, Target
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.settings import ArchiveSettings, FrameSettings, NetworkSettings, RedisSettings
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models import required_parameters
from moireloop_worker.models.mos2_settings import Mos2Settings, ReaxffSettings, ReboSettings
from moireloop_worker.models.script_settings import ScriptSettings
from moireloop_worker.models.settings import BeadSettings, NoopSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings

ROOT = Path(__file__).parents[4]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in reference.pages()}
KEYS = PAGES["campaign-file"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (
    Target, BudgetSettings, BeadSettings, NoopSettings, Mos2Settings, ReboSettings, ReaxffSettings, ScriptSettings,
    PoolSettings, LammpsSettings, FrameSettings, AnalyzerSettings, SettledPolicy, LearntPolicy, HopelessPolicy,
    OptimizerSettings, ArchiveSettings, RedisSettings, NetworkSettings,
)  # fmt: skip


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one."""
    parts = re.split(r"^#{2,3} (.+)$", PAGES[page], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table, without its head, each a list of cells."""
    lines = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(cells: list[list[str]]) -> list[str]:
    """What stands in backticks in the first column."""
    return [name for row in cells for name in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_generated_tables_are_what_the_code_says(page: str) -> None:
    """Else: `make reference`."""
    assert PAGES[page] == reference.rendered(PAGES[page])


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_class_of_settings_has_its_table(settings: type[BaseModel]) -> None:
    """Once, and each key of it stands there or in its base's table."""
    assert KEYS.count(f"<!-- begin keys {settings.__module__}:{settings.__name__} -->") == 1
    assert [name for name in settings.model_fields if f"| `{name}` |" not in KEYS] == []


def test_every_section_is_explained() -> None:
    """What stands at the top of a campaign file is a key of the first table or a section."""
    keys = set(names(rows(section("campaign-file", "Top level"))))
    headings = re.findall(r"^## \[+([a-z_]+)[\].]", KEYS, flags=re.MULTILINE)
    assert keys | set(headings) == set(Campaign.model_fields)
    assert keys & set(headings) == set()


def test_parameters_of_the_search_space() -> None:
    """[space] names the parameters of `bead` and their limits; the parameters of `noop` have the same names."""
    limits = required_parameters(BeadSettings())
    shown = [row[:2] for row in rows(section("campaign-file", "[space]"))]
    assert shown == [[f"`{name}`", f"[{low:g}, {high:g}]"] for name, (low, high) in limits.items()]
    assert set(required_parameters(NoopSettings())) == set(limits)


def test_example_is_a_campaign_file(tmp_path: Path) -> None:
    """The short campaign file is in order, and nothing in it could be left out."""
    (text,) = re.findall(r"^```toml\n(.*?)^```$", KEYS, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert load_campaign(path, "run", cores=2).name == "mine"
    assert set(tomllib.loads(text)) == {name for name, f in Campaign.model_fields.items() if f.is_required()} - {
        "folder"
    }


def test_example_of_the_readme_is_a_campaign_file(tmp_path: Path) -> None:
    """MoS2 on a cluster, once the force field lies beside it."""
    (text,) = re.findall(r"^```toml\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "ffield.reax.MoS").write_text("Mo and S\n")
    (tmp_path / "mos2.toml").write_text(text.replace('host = "auto"', 'host = "127.0.0.1"'))
    campaign = load_campaign(tmp_path / "mos2.toml", "run", cores=64)
    assert (campaign.growth.model, campaign.workers.count) == ("mos2-reaxff", "all")


def test_everything_in_the_folder_is_named() -> None:
    """The table of the folder has every name that a campaign makes there."""
    shown = names(rows(section("results", "The campaign's folder")))
    assert {name.rstrip("/") for name in shown} == CampaignFolder(Path("x")).own_names


def test_every_column_of_the_results_is_named() -> None:
    """The table of columns has the columns of the results, which parameters, analyzers and further targets add to."""
    named = names(rows(section("results", "Columns of the results")))
    assert sorted(named) == sorted([*results_table([], [], {}).column_names, "NAME.NUMBER", "NAME.reason"])


def test_what_may_not_change_on_resume_is_named() -> None:
    """The three that are fixed stand on the page on resuming."""
    page = (ROOT / "docs" / "stop-and-resume.md").read_text(encoding="utf-8")
    assert "`name`, everything in `[growth]` and `redis.url` must stay" in page


def test_readme_is_read_in_two_minutes() -> None:
    """At most 150 lines."""
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docker/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Every file and picture that a page outside docs/ points to is there; pictures are small."""
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        path = (ROOT / page).parent / target
        assert "://" in target or path.exists(), target
        assert path.suffix != ".png" or path.stat().st_size < 150_000
