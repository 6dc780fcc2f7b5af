"""A campaign file is checked whole, and what is wrong with it is said, a line for each error."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.errors import CampaignFileError, as_lines
from moireloop.campaign_file.load import check, keep_copy, load_campaign, load_copy, read_campaign
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem
from moireloop_worker.models.mos2_settings import ReaxffSettings
from tests.helpers.wrong_campaign_files import GOOD, WRONG_FILES, WrongFile
from tests.helpers.wrong_scripts import WRONG_SCRIPTS
from tests.helpers.wrong_strategies import WRONG_STRATEGIES

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.toml"))


def written(path: Path, text: str = GOOD) -> Path:
    """The path of a campaign file with this text."""
    path.write_text(text)
    return path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_in_order(example: Path, tmp_path: Path) -> None:
    """Every file in examples/ can be run on a machine with enough cores, once the force field lies beside it."""
    shutil.copytree(example.parent, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.campaign"))
    if "ffield.reax.MoS" in example.read_text():
        with pytest.raises(CampaignFileError, match=r"growth\.force_field: expected a file, got .* does not"):
            load_campaign(tmp_path / example.name, cores=64)
        (tmp_path / "ffield.reax.MoS").touch()
    assert load_campaign(tmp_path / example.name, cores=64).name == example.stem


def test_copy_finds_the_force_field_beside_the_original(tmp_path: Path) -> None:
    """A path in the copy of a campaign file is still relative to where the file lay."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "ffield").touch()
    text = GOOD.replace("cells = [12, 12]", "").replace('"bead"', '"mos2-reaxff"\nforce_field = "ffield"')
    path = written(tmp_path / "here" / "search.toml", text)
    folder = CampaignFolder(tmp_path / "here" / "search.campaign")
    folder.create()
    keep_copy(read_campaign(path), folder)
    growth = load_copy(folder).growth
    assert isinstance(growth, ReaxffSettings)
    assert growth.force_field == tmp_path / "here" / "ffield"
    assert changes_on_resume(load_copy(folder), load_campaign(path, "resume", cores=4)) == []


def test_there_is_a_demo() -> None:
    """The demo is there, as the README says it."""
    assert "demo.toml" in [example.name for example in EXAMPLES]


@pytest.mark.parametrize("wrong", [*WRONG_FILES, *WRONG_SCRIPTS, *WRONG_STRATEGIES], ids=lambda wrong: wrong.name)
def test_wrong_file_gets_one_clear_line(wrong: WrongFile, tmp_path: Path) -> None:
    """A wrong file gets a printable line that begins with the file and names the key; nothing is left behind."""
    path = tmp_path / "search.toml"
    wrong.put(path)
    before = sorted(tmp_path.rglob("*"))
    begun_s = time.process_time()
    with pytest.raises(CampaignFileError) as caught:
        load_campaign(path, wrong.purpose, cores=4)
    assert time.process_time() - begun_s < 5.0
    line, *further = str(caught.value).split("\n")
    assert wrong.expected.format(file=path, folder=tmp_path / "search.campaign", parent=tmp_path) in line
    for text in (line, *further):
        assert text.startswith(f"{path}: ")
        assert text.isprintable()
        assert len(text) < 5000
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("twist_deg = 8.2", "twist_deg = 38.2", "targets[0].twist_deg"),
        ("twist_deg = 21.8", "twist_dog = 21.8", "targets[1].twist_dog"),
        ("[1500.0, 3500.0]", "[3500.0, 1500.0]", "space.temperature_k"),
        ("[0.0, 0.05]", '["0.0", 0.05]', "space.lattice_strain[0]"),
        ("cells = [12, 12]", "cells = [12, 1]", "growth.cells[1]"),
        ("count = 2", "count = -1", "workers.count"),
        ("count = 1\n", "count = 1\nanalyses = [3]\n", "analyzers.analyses[0]"),
    ],
)
def test_one_fault_is_one_line(tmp_path: Path, old: str, new: str, key: str) -> None:
    """What follows from a fault, such as a list that is empty without its wrong entry, is not reported as well."""
    assert GOOD.count(old) == 1
    with pytest.raises(CampaignFileError) as caught:
        load_campaign(written(tmp_path / "search.toml", GOOD.replace(old, new)), cores=4)
    (line,) = str(caught.value).split("\n")
    assert line.startswith(f"{tmp_path}/search.toml: {key}: ")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_file_of_another_editor_is_read(tmp_path: Path, mark: str, ends: str) -> None:
    """A byte order mark and line ends of Windows change nothing, nor does the copy in the folder."""
    path = tmp_path / "search.toml"
    path.write_bytes((mark + GOOD.replace("\n", ends)).encode())
    campaign = load_campaign(path, "run", cores=4)
    assert campaign == load_campaign(written(tmp_path / "plain.toml"), "run", cores=4)
    folder = CampaignFolder(campaign.folder)
    folder.create()
    keep_copy(read_campaign(path), folder)
    assert load_copy(folder) == campaign


def test_file_is_read_once(tmp_path: Path) -> None:
    """What was checked is what is kept, although the file has changed meanwhile."""
    path = written(tmp_path / "search.toml")
    file = read_campaign(path)
    path.write_text("broken")
    check(file, "run", cores=4)
    file.folder.create()
    keep_copy(file, file.folder)
    assert load_copy(file.folder) == file.campaign


def test_copy_in_the_folder_can_be_given_to_commands(tmp_path: Path) -> None:
    """It stands for the campaign in whose folder it lies, and stays a copy of the first file."""
    file = read_campaign(written(tmp_path / "search.toml"))
    file.folder.create()
    keep_copy(file, file.folder)
    before = file.folder.campaign_copy.read_text()
    copy = read_campaign(file.folder.campaign_copy)
    assert copy.campaign == file.campaign
    check(copy, "resume", cores=4)
    keep_copy(copy, copy.folder)
    assert file.folder.campaign_copy.read_text() == before
    with pytest.raises(CampaignFileError, match="was already started"):
        check(copy, "run", cores=4)


@pytest.mark.parametrize("named", ["file", "folder"])
def test_name_that_is_not_utf8_is_reported(tmp_path: Path, named: str) -> None:
    """Services are given paths as UTF-8; the line shows which byte is not."""
    odd = os.fsdecode(b"s\xe4rch")
    path = tmp_path / "search.toml" if named == "folder" else tmp_path / f"{odd}.toml"
    if named == "folder":
        (tmp_path / odd).mkdir()
        (tmp_path / "link").symlink_to(tmp_path / odd)
    text = GOOD.replace('"search.campaign"', '"link/search.campaign"')
    with pytest.raises(CampaignFileError) as caught:
        load_campaign(written(path, text if named == "folder" else GOOD), cores=4)
    (line,) = str(caught.value).split("\n")
    assert "UTF-8" in line
    assert line.isprintable()
    assert (r"s\xe4rch.toml: " if named == "file" else "folder: ") in line


def test_good_file_is_read_whole(tmp_path: Path) -> None:
    """What stands in the file stands in the campaign; what does not has its default."""
    campaign = load_campaign(written(tmp_path / "search.toml"), "run", cores=4)
    assert [target.twist_deg for target in campaign.targets] == [8.2, 21.8]
    assert campaign.bounds["temperature_k"] == (1500.0, 3500.0)
    assert campaign.folder == tmp_path / "search.campaign"
    assert campaign.frames.transport == "auto"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search.toml"]


def test_folder_is_beside_the_file_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `folder`, the campaign's folder is named after the file and lies beside it, wherever one stands."""
    (tmp_path / "work").mkdir()
    written(tmp_path / "work" / "mine.toml", GOOD.replace('folder = "search.campaign"\n', ""))
    monkeypatch.chdir(tmp_path)
    assert load_campaign(Path("work/mine.toml"), cores=4).folder == tmp_path / "work" / "mine.campaign"


def test_users_lammps_is_found_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path of a LAMMPS library is relative to the file, wherever one stands, and workers get it whole."""
    text = GOOD.replace("[frames]", '[lammps]\nlibrary = "build/liblammps.so"\n\n[frames]')
    (tmp_path / "work").mkdir()
    written(tmp_path / "work" / "mine.toml", text)
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / "work" / "build" / "liblammps.so"
    assert load_campaign(Path("work/mine.toml"), "look").lammps.library == expected


def test_further_errors_are_reported(tmp_path: Path) -> None:
    """Each on its own line."""
    text = GOOD.replace("count = 2", "count = -1").replace("results = 40", "results = 0")
    path = written(tmp_path / "search.toml", text)
    with pytest.raises(CampaignFileError) as caught:
        load_campaign(path)
    keys = [line.removeprefix(f"{path}: ").split(":")[0] for line in str(caught.value).split("\n")]
    assert sorted(keys) == ["budget.results", "workers.count"]


@pytest.mark.parametrize(
    ("errors", "ends"), [(5, "b: 4"), (6, "b: 4 (and 1 more error)"), (8, "b: 4 (and 3 more errors)")]
)
def test_more_than_five_errors_are_counted(errors: int, ends: str) -> None:
    """Five lines at most; the last says how many more there are."""
    lines = as_lines("a", [Problem("b", str(number)) for number in range(errors)]).split("\n")
    assert len(lines) == 5
    assert lines[-1] == f"a: {ends}"


@pytest.mark.parametrize("policy", ["settled", "hopeless"])
def test_policy_that_no_run_can_meet_is_an_error(tmp_path: Path, policy: str) -> None:
    """The bead model makes 20000 steps, with a frame every 500 that is 40 frames: 40 can be asked for, 41 not."""
    table = f"[early_end.{policy}]\nframes = "
    assert load_campaign(written(tmp_path / "search.toml", f"{GOOD}\n{table}40\n"), cores=4).early_end.is_on
    message = rf"early_end\.{policy}\.frames: expected at most 40, since a run of 20000 steps .* every 500, got 41$"
    with pytest.raises(CampaignFileError, match=message):
        load_campaign(written(tmp_path / "search.toml", f"{GOOD}\n{table}41\n"), cores=4)


def test_misspelt_required_key_is_one_error(tmp_path: Path) -> None:
    """A misspelt key is not reported again as a missing one."""
    with pytest.raises(CampaignFileError, match=r"did you mean workers.count\?$"):
        load_campaign(written(tmp_path / "search.toml", GOOD.replace("count = 2", "cuont = 2")))


def test_password_is_not_shown(tmp_path: Path) -> None:
    """A password in a Redis URL does not get into the message."""
    text = GOOD.replace("redis://127.0.0.1:6379/0", "http://me:secret@127.0.0.1:6379/0")
    with pytest.raises(CampaignFileError, match=r"redis\.url") as caught:
        load_campaign(written(tmp_path / "search.toml", text))
    assert "secret" not in str(caught.value)


def test_oversubscription_is_allowed_when_asked_for(tmp_path: Path) -> None:
    """More ranks than cores are taken when the file says so."""
    text = GOOD.replace("ranks = 1", "ranks = 8\noversubscribe = true")
    assert load_campaign(written(tmp_path / "search.toml", text), cores=1).workers.ranks == 8


def test_default_initial_design_fits_any_budget(tmp_path: Path) -> None:
    """A small budget needs no word about the initial design, which is simply cut."""
    text = GOOD.replace("initial = 10\n", "").replace("results = 40", "results = 3")
    assert load_campaign(written(tmp_path / "search.toml", text), cores=4).budget.results == 3


def test_looking_asks_nothing_of_the_machine(tmp_path: Path) -> None:
    """Status or results of a campaign can be had on a machine with fewer cores."""
    path = written(tmp_path / "search.toml", GOOD.replace("count = 2", "count = 4000"))
    assert load_campaign(path, "look").workers.count == 4000


def started(tmp_path: Path, text: str = GOOD) -> CampaignFolder:
    """The folder of a campaign that was started with this file."""
    folder = CampaignFolder(tmp_path / "search.campaign")
    folder.create()
    keep_copy(read_campaign(written(tmp_path / "search.toml", text)), folder)
    return folder


def test_folder_that_was_made_but_not_started_can_be_run(tmp_path: Path) -> None:
    """A run that ended before the run began does not block its folder."""
    folder = started(tmp_path)
    folder.campaign_copy.unlink()
    assert CampaignFolder(load_campaign(tmp_path / "search.toml", "run", cores=4).folder) == folder


def test_copy_knows_its_folder(tmp_path: Path) -> None:
    """The copy of the campaign file in the folder gives the same campaign, with the same folder."""
    folder = started(tmp_path)
    assert load_copy(folder) == load_campaign(tmp_path / "search.toml", "resume", cores=4)


def test_resume_may_change_what_is_searched(tmp_path: Path) -> None:
    """Bounds, budget, targets, optimizer, workers and analyzers may change, and each change is reported."""
    folder = started(tmp_path)
    text = GOOD
    for old, new in (
        ("[1500.0, 3500.0]", "[1000.0, 3500.0]"),
        ("results = 40", "results = 80"),
        ("= 21.8", "= 13.2"),
        ('strategy = "qei"', 'strategy = "thompson"'),
        ("count = 2", "count = 3"),
        ("count = 1\n", "count = 2\n"),
    ):
        text = text.replace(old, new)
    new_campaign = load_campaign(written(tmp_path / "search.toml", text), "resume", cores=4)
    assert changes_on_resume(load_copy(folder), new_campaign) == [
        "targets[1].twist_deg: 21.8 -> 13.2",
        "space.temperature_k: [1500.0, 3500.0] -> [1000.0, 3500.0]",
        "budget.results: 40 -> 80",
        "workers.count: 2 -> 3",
        "analyzers.count: 1 -> 2",
        "optimizer.strategy: 'qei' -> 'thompson'",
    ]


def test_change_of_a_long_path_shows_its_end(tmp_path: Path) -> None:
    """Strategies in files have whole paths, which differ where they end."""
    folder = started(tmp_path, GOOD.replace('strategy = "qei"', f'strategy = "{"long/" * 20}own.py:Mine"'))
    new = load_campaign(
        written(tmp_path / "search.toml", GOOD.replace('strategy = "qei"', f'strategy = "{"long/" * 20}own.py:Yours"')),
        "look",
    )
    (change,) = changes_on_resume(load_copy(folder), new)
    assert re.fullmatch(r"optimizer\.strategy: '\.\.\.[^ ]*/own\.py:Mine' -> '\.\.\.[^ ]*/own\.py:Yours'", change)


def test_unchanged_file_changes_nothing(tmp_path: Path) -> None:
    """The same file again is no change."""
    folder = started(tmp_path)
    assert changes_on_resume(load_copy(folder), load_copy(folder)) == []


def test_one_example_has_every_key() -> None:
    """examples/all-settings.toml names every key that there is, with its default where it has one."""
    text = (EXAMPLES[0].parent / "all-settings.toml").read_text()
    given = load_campaign(EXAMPLES[0].parent / "all-settings.toml", cores=64)
    policies = (given.early_end.settled, given.early_end.hopeless)
    sections: tuple[BaseModel | None, ...] = (
        given.budget,
        given.growth,
        given.workers,
        given.lammps,
        given.frames,
        given.analyzers,
        *policies,
        given.optimizer,
    )
    for section in sections:
        assert section is not None
        for name, field in type(section).model_fields.items():
            assert re.search(rf"^(# )?{name} = ", text, re.MULTILINE)
            if not field.is_required() and name not in ("wall_time_s", "arguments", "distance_deg"):
                assert getattr(section, name) == field.default
