"""The README says of the campaign file, the commands and the folder what the code says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.cli import COMMANDS
from moireloop.results.table import results_table
from moireloop_analyzer.settings import AnalyzerSettings, HopelessPolicy, LearntPolicy, SettledPolicy
from moireloop_broker.contract.search import BudgetSettings, Target
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.settings import FrameSettings, NetworkSettings, RedisSettings
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models import required_parameters
from moireloop_worker.models.mos2_settings import Mos2Settings, ReaxffSettings, ReboSettings
from moireloop_worker.models.script_settings import ScriptSettings
from moireloop_worker.models.settings import BeadSettings, NoopSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings

ROOT = Path(__file__).parents[4]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS: dict[str, list[type[BaseModel]]] = {
    "[[targets]]": [Target],
    "[budget]": [BudgetSettings],
    "[growth]": [BeadSettings, NoopSettings, Mos2Settings, ReboSettings, ReaxffSettings, ScriptSettings],
    "[workers]": [PoolSettings],
    "[lammps]": [LammpsSettings],
    "[frames]": [FrameSettings],
    "[analyzers]": [AnalyzerSettings],
    "[early_end.settled]": [SettledPolicy],
    "[early_end.learnt]": [LearntPolicy],
    "[early_end.hopeless]": [HopelessPolicy],
    "[optimizer]": [OptimizerSettings],
    "[redis]": [RedisSettings],
    "[network]": [NetworkSettings],
}


def section(heading: str) -> str:
    """The text under a heading, up to the next one."""
    parts = re.split(r"^#{2,3} (.+)$", README, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def tables(text: str) -> list[list[list[str]]]:
    """The rows of each table, without its head, each a list of cells."""
    found = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    return [[_cells(line) for line in table.splitlines()[2:]] for table in found]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def row_of(name: str, field: FieldInfo) -> list[str]:
    """Key, default and meaning of a field, as its row of a table should be."""
    meaning = (field.description or "").rstrip(".")
    return [f"`{name}`", default_of(field), meaning.lower()]


def default_of(field: FieldInfo) -> str:
    """The default of a field as a table shows it; with two presets, those of both."""
    if field.is_required():
        return "needed"
    if isinstance(field.json_schema_extra, dict):
        paper, small = (json.dumps(field.json_schema_extra[preset]) for preset in ("paper", "small"))
        return f"`{paper}`; small `{small}`"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


def own_rows(model: type[BaseModel]) -> list[list[str]]:
    """The rows of the keys that a model adds to its base or has another default for."""
    (base,) = model.__bases__
    inherited = {name: row_of(name, field) for name, field in getattr(base, "model_fields", {}).items()}
    rows = {name: row_of(name, field) for name, field in model.model_fields.items()}
    return [row for name, row in rows.items() if row != inherited.get(name)]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_explained(heading: str) -> None:
    """The tables of a section have the keys of its models, in order, with default and meaning as the models say.

    What a model shares with another stands in the other's table.
    """
    shown = [[[key, default, meaning.lower()] for key, default, meaning in table] for table in tables(section(heading))]
    expected = [own_rows(model) for model in SECTIONS[heading]]
    assert shown == expected


def test_every_section_is_explained() -> None:
    """What stands at the top of a campaign file is a key of the first table or a section of its own."""
    keys = {row[0].strip("`") for row in tables(section("Top level"))[0]}
    sections = {heading.strip("[]").partition(".")[0] for heading in (*SECTIONS, "[space]")}
    assert keys | sections == set(Campaign.model_fields)
    assert keys & sections == set()


def test_parameters_of_the_search_space() -> None:
    """[space] names the parameters of `bead` and their limits; those of `noop` have the same names."""
    limits = required_parameters(BeadSettings())
    rows = [row[:2] for row in tables(section("[space]"))[0]]
    assert rows == [[f"`{name}`", f"[{low:g}, {high:g}]"] for name, (low, high) in limits.items()]
    assert set(required_parameters(NoopSettings())) == set(limits)


def test_example_is_a_campaign_file(tmp_path: Path) -> None:
    """The short campaign file is in order, and nothing in it could be left out."""
    (text,) = re.findall(r"^```toml\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert load_campaign(path, "run", cores=2).name == "mine"
    assert set(tomllib.loads(text)) == {name for name, f in Campaign.model_fields.items() if f.is_required()} - {
        "folder"
    }


def test_every_command_is_named() -> None:
    """The table of commands has all of them."""
    assert [row[0].strip("`") for row in tables(section("The command line"))[0]] == list(COMMANDS)


def test_everything_in_the_folder_is_named() -> None:
    """The table of the folder has every name that a campaign makes there."""
    cells = [row[0] for row in tables(section("What lies where"))[0]]
    assert {name.rstrip("/") for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == CampaignFolder(
        Path("x")
    ).own_names


def test_every_column_of_the_results_is_named() -> None:
    """The table of columns has those of the results, which parameters, analyzers and further targets add to."""
    cells = [row[0] for row in tables(section("Columns of the results"))[0]]
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == sorted([*results_table([], [], {}).column_names, "NAME.NUMBER", "NAME.reason"])


def test_what_may_not_change_on_resume_is_named() -> None:
    """The three that are fixed stand in the section on resuming."""
    assert "`name`, everything in\n  `[growth]` and `redis.url` must stay" in section("Stop and resume")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", README))))
def test_links_lead_somewhere(target: str) -> None:
    """Every file and picture that the README points to is there; pictures are small."""
    path = ROOT / target
    assert path.exists()
    assert path.suffix != ".png" or path.stat().st_size < 150_000
