"""A campaign in Python has the same sections, checks and messages as one in a file."""

from __future__ import annotations

import contextlib
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moireloop
from moireloop.campaign import Campaign
from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.load import Purpose, campaign_of_text, check, keep_copy, load_campaign, load_copy
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.settings import PoolSettings
from tests.helpers.wrong_campaign_files import GOOD, WRONG_FILES, WrongFile

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))
SECTIONS: dict[str, Any] = tomllib.loads(GOOD)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def with_section(**changes: Any) -> Campaign:
    """The good campaign with some sections replaced."""
    return Campaign(**{**SECTIONS, **changes})


def document_of(wrong: WrongFile) -> dict[str, Any] | None:
    """The document of a wrong file, None where it cannot be read, is huge or has a section that is no argument."""
    text = wrong.text if wrong.text is not None else GOOD.replace(wrong.old, wrong.new)
    if wrong.act is not None or len(text) > 2 * len(GOOD):
        return None
    with contextlib.suppress(ValueError):
        document = tomllib.loads(text)
        return document if set(SECTIONS) - {"folder"} <= set(document) <= set(Campaign.model_fields) else None
    return None


def checked(document: dict[str, Any], purpose: Purpose) -> None:
    """Make a campaign and check it as the process that runs it does."""
    campaign = Campaign(**document)
    check(campaign_of_text(campaign.toml(), "Campaign", campaign.folder), purpose, cores=4)


def reported(error: CampaignFileError, name: str) -> list[str]:
    """The lines of an error without what differs: their beginning, line numbers, and how to begin instead."""
    lines = [line.removeprefix(f"{name}: ") for line in str(error).split("\n")]
    return [re.sub(r"^line \d+: |; (use `moireloop run .*`|leave out resume=True)$", "", line) for line in lines]


WRONG_DOCUMENTS = [wrong for wrong in WRONG_FILES if document_of(wrong) is not None]


@pytest.mark.parametrize("wrong", WRONG_DOCUMENTS, ids=lambda wrong: wrong.name)
def test_messages_are_those_of_a_file(wrong: WrongFile, tmp_path: Path) -> None:
    """Line by line, whether a section is wrong in itself, or the sections do not fit each other or the machine."""
    path = tmp_path / "search.toml"
    wrong.put(path)
    with pytest.raises(CampaignFileError) as of_file:
        load_campaign(path, wrong.purpose, cores=4)
    with pytest.raises(CampaignFileError) as of_python:
        checked(document_of(wrong) or {}, wrong.purpose)
    assert reported(of_python.value, "Campaign") == reported(of_file.value, str(path))


def test_wrong_documents_are_many() -> None:
    """The comparison above does not run dry."""
    assert len(WRONG_DOCUMENTS) > 70


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_can_be_written_in_python(example: Path, tmp_path: Path) -> None:
    """Every file in examples/ as arguments is the same campaign, and so is the text that is written of it."""
    shutil.copytree(example.parent, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.campaign"))
    expected = load_campaign(tmp_path / example.name, "look")
    campaign = Campaign(**tomllib.loads(example.read_text()))
    assert campaign.model_dump() == expected.model_dump()
    again = campaign_of_text(campaign.toml(), "Campaign", campaign.folder).campaign
    assert again == expected
    assert again.model_fields_set == expected.model_fields_set


def test_objects_and_tables_are_the_same() -> None:
    """Settings objects, plain tables, tuples, paths and numbers of numpy may be mixed."""
    given = Campaign(
        name="search",
        folder=Path("search.campaign"),
        targets=[Target(twist_deg=8.2, tolerance_deg=0.3), {"twist_deg": np.float64(21.8)}],
        space=SearchSpace.model_validate(SECTIONS["space"]),
        budget=BudgetSettings(results=40, wall_time_s=600),
        growth=BeadSettings(cells=(12, 12)),
        workers=PoolSettings(count=2, ranks=1),
        frames={"every_steps": np.int64(500)},
        analyzers={"count": 1},
        optimizer=OptimizerSettings(strategy="qei", initial=10),
        redis={"url": "redis://127.0.0.1:6379/0"},
        network={"host": "127.0.0.1"},
    )
    assert given == Campaign(**SECTIONS)
    assert given.toml() == Campaign(**SECTIONS).toml()
    ranges = {name: np.array(ends) for name, ends in SECTIONS["space"].items()}
    assert with_section(space=ranges) == given


def test_defaults_stay_defaults() -> None:
    """What was not given is not written: a later version's default holds, and the default initial design is cut."""
    campaign = with_section(budget={"results": 3}, optimizer={"strategy": "qei"}, growth=BeadSettings())
    assert "initial" not in campaign.toml()
    assert 'model = "bead"' in campaign.toml()
    assert campaign.folder == Path.cwd() / "search.campaign"


def test_folder_is_named_after_the_campaign(tmp_path: Path) -> None:
    """Below the present folder, and still there when one goes elsewhere."""
    campaign = with_section(folder=None, name="mine")
    assert campaign.folder == tmp_path / "mine.campaign"


def test_folder_of_another_kind_is_refused_by_name() -> None:
    """Bytes are no path here, though pathlib's models would take them."""
    with pytest.raises(CampaignFileError, match=r"folder: expected a text or a pathlib\.Path, got b.x."):
        with_section(folder=b"x")


def test_paths_are_relative_to_the_present_folder(tmp_path: Path) -> None:
    """Also in the text that is written: it may be read anywhere."""
    campaign = with_section(lammps={"library": Path("build/liblammps.so")}, optimizer={"strategy": "own.py:Mine"})
    assert f'library = "{tmp_path}/build/liblammps.so"' in campaign.toml()
    assert f'strategy = "{tmp_path}/own.py:Mine"' in campaign.toml()


@pytest.mark.parametrize(
    ("section", "value", "key"),
    [
        ("optimizer", {"strategy": "a.b:C", "options": {"x": [{"y": None}]}}, "optimizer.options.x[0].y"),
        ("budget", {"results": 40, "wall_time_s": float("nan")}, "budget.wall_time_s"),
        ("name", "../up", "name"),
        ("name", None, "name"),
        ("name", "a\0b", "folder"),
        ("targets", [], "targets"),
        ("targets", [8.2], "targets[0]"),
        ("targets", Target(twist_deg=8.2), "targets"),
        ("workers", 2, "workers"),
        ("growth", {"model": "bead", "cells": object()}, "growth.cells"),
        ("space", {"temperature_k": range(3)}, "space.temperature_k"),
    ],
)
def test_wrong_value_of_python_is_reported(section: str, value: object, key: str) -> None:
    """Values that no file can have get a line too."""
    arguments = {**SECTIONS, section: value}
    arguments.pop("folder")
    with pytest.raises(CampaignFileError) as caught:
        Campaign(**arguments)
    assert str(caught.value).split("\n")[0].startswith(f"Campaign: {key}")


def test_a_campaign_is_a_value() -> None:
    """It cannot be changed, and asks for one thing at a time."""
    campaign = Campaign(**SECTIONS)
    with pytest.raises(ValueError, match="frozen"):
        campaign.name = "other"
    with pytest.raises(ValueError, match="expected fresh or resume, got both"):
        campaign.start(fresh=True, resume=True)


def test_copy_of_a_campaign_in_python_can_be_resumed_by_file() -> None:
    """The copy in its folder gives the same campaign, and is one that commands take."""
    campaign = Campaign(**SECTIONS)
    file = campaign_of_text(campaign.toml(), "Campaign", campaign.folder)
    file.folder.create()
    keep_copy(file, file.folder)
    assert load_copy(file.folder) == file.campaign
    assert load_campaign(file.folder.campaign_copy, "resume", cores=4) == file.campaign
    check(file, "resume", cores=4)


def test_public_names_are_there() -> None:
    """Each name of moireloop can be loaded, and is documented."""
    for name in moireloop.__all__:
        assert (getattr(moireloop, name).__doc__ or "").strip()
    assert moireloop.Campaign is Campaign


def test_first_example_of_the_page_is_in_order() -> None:
    """docs/python.md makes a campaign that passes all checks."""
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], names)  # noqa: S102
    campaign = names["campaign"]
    check(campaign_of_text(campaign.toml(), "Campaign", campaign.folder), "run", cores=4)
