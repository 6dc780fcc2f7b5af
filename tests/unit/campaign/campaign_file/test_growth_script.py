"""A growth script is found with its files, kept with the campaign, and sent to the workers as it was then."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.load import keep_copy, load_campaign, read_campaign
from moireloop.cli import main
from moireloop.session.startup import settings_sections
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.script_files import found_script, growth_section, keep_script, started_model
from moireloop_worker.models.script_settings import ReadScript, ScriptSettings
from moireloop_worker.models.settings import GrowthSettings
from tests.helpers.wrong_scripts import SCRIPT, WITH_SCRIPT

REBO = SCRIPT.replace("pair_style lj/cut 5.0", "pair_style rebomos").replace("1 1 0.01 2.0", "* * MoS.rebomos Mo")


def written(folder: Path, script: str = SCRIPT, text: str = WITH_SCRIPT) -> Path:
    """A campaign file beside its script."""
    folder.mkdir(exist_ok=True)
    (folder / "growth.in").write_text(script)
    (folder / "search.toml").write_text(text)
    return folder / "search.toml"


def parts(campaign: Campaign) -> tuple[GrowthSettings, int, CampaignFolder]:
    """What the functions of script files take of a campaign."""
    return campaign.growth, campaign.frames.every_steps, CampaignFolder(campaign.folder)


def kept(path: Path) -> Campaign:
    """The campaign of a file that was started, its folder made."""
    campaign = load_campaign(path, "run", cores=4)
    CampaignFolder(campaign.folder).create()
    keep_script(*parts(campaign))
    keep_copy(read_campaign(path), CampaignFolder(campaign.folder))
    return campaign


def files_of(campaign: Campaign) -> dict[str, str]:
    assert isinstance(campaign.growth, ScriptSettings)
    return found_script(campaign.growth, 1).settings.files


def test_workers_receive_the_script_and_the_frame_interval(tmp_path: Path) -> None:
    """All that a worker needs is in the section [growth]: it plans without any file."""
    campaign = kept(written(tmp_path / "a"))
    section = settings_sections(campaign)["growth"]
    assert isinstance(section, dict)
    (tmp_path / "a" / "growth.in").unlink()
    model = growth_model(growth_settings(section))
    assert set(model.parameters) == {"temperature_k", "lattice_strain", "shear_strain"}
    plan = model.plan({"temperature_k": 9.0, "lattice_strain": 0.0, "shear_strain": 0.1}, 1, None)
    assert "thermo 500" in repr(plan)


def test_looking_needs_no_script(tmp_path: Path) -> None:
    """Status or results of a campaign can be had when the script is gone."""
    path = written(tmp_path)
    (tmp_path / "growth.in").unlink()
    assert load_campaign(path, "look").growth.model == "script"


def test_what_runs_is_the_copy(tmp_path: Path) -> None:
    """A script that is edited while its campaign runs changes nothing there."""
    campaign = kept(written(tmp_path))
    before = growth_section(*parts(campaign))
    (tmp_path / "growth.in").write_text(SCRIPT.replace("32.0", "95.94"))
    assert growth_section(*parts(campaign)) == before
    assert (CampaignFolder(campaign.folder).script / "growth.in").read_text() == SCRIPT


def test_frame_interval_may_change_on_resume(tmp_path: Path) -> None:
    """The script gets the interval of the campaign file as it is now."""
    campaign = kept(written(tmp_path))
    written(tmp_path, text=WITH_SCRIPT.replace("every_steps = 500", "every_steps = 250"))
    resumed = load_campaign(tmp_path / "search.toml", "resume", cores=4)
    assert (growth_section(*parts(campaign))["frame_steps"], growth_section(*parts(resumed))["frame_steps"]) == (
        500,
        250,
    )


def test_files_are_copied_under_names_that_lammps_takes(tmp_path: Path) -> None:
    """A script may lie anywhere and name its files as it likes; copies are named by content, seen from the folder."""
    place = tmp_path / "Größe 'a* b"
    script = SCRIPT.replace("create_box 1 box", "read_data 'dät a*.data'")
    path = written(place, script)
    (place / "dät a*.data").write_text("one")
    campaign = kept(path)
    (name,) = files_of(campaign).values()
    assert name.isascii()
    assert not set(name) & set("'\"* ")
    assert (campaign.folder / name).read_text() == "one"


def test_potentials_of_lammps_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the script, then where LAMMPS_POTENTIALS says, then among those that come with LAMMPS."""
    monkeypatch.delenv("LAMMPS_POTENTIALS", raising=False)
    campaign = kept(written(tmp_path / "a", REBO))
    assert "epsilon_MM" in (campaign.folder / files_of(campaign)["MoS.rebomos"]).read_text(encoding="utf-8")
    own = files_of(campaign)
    (tmp_path / "MoS.rebomos").write_text("site")
    monkeypatch.setenv("LAMMPS_POTENTIALS", f"/no/such/place:{tmp_path}")
    site = files_of(campaign)
    (tmp_path / "a" / "MoS.rebomos").write_text("mine")
    mine = files_of(campaign)
    assert len({own["MoS.rebomos"], site["MoS.rebomos"], mine["MoS.rebomos"]}) == 3


def test_changed_file_of_the_script_is_refused_on_resume(tmp_path: Path) -> None:
    """Other content under the same name is another campaign."""
    (tmp_path / "MoS.rebomos").write_text("one")
    path = written(tmp_path, REBO)
    kept(path)
    assert load_campaign(path, "resume", cores=4)
    (tmp_path / "MoS.rebomos").write_text("two")
    with pytest.raises(CampaignFileError, match=r"growth\.file: .* got other content of its file MoS\.rebomos"):
        load_campaign(path, "resume", cores=4)


def test_changed_value_is_refused_on_resume(tmp_path: Path) -> None:
    """The numbers in growth.values belong to the growth model, too."""
    path = written(tmp_path)
    kept(path)
    written(tmp_path, text=WITH_SCRIPT.replace("anneal_steps = 50", "anneal_steps = 51"))
    with pytest.raises(CampaignFileError, match=r"growth\.values\.anneal_steps: expected 50, with which"):
        load_campaign(path, "resume", cores=4)


def test_script_settings_go_through_json(tmp_path: Path) -> None:
    """What is kept is what is read."""
    campaign = kept(written(tmp_path))
    assert isinstance(campaign.growth, ScriptSettings)
    assert growth_settings(growth_section(*parts(campaign))) == found_script(campaign.growth, 500).settings
    assert isinstance(growth_settings(growth_section(*parts(campaign))), ReadScript)


def test_model_of_a_started_campaign(tmp_path: Path) -> None:
    """Figures of a campaign can be drawn when its script is gone: what they need of the model is kept."""
    campaign = kept(written(tmp_path))
    (tmp_path / "growth.in").unlink()
    assert started_model(*parts(campaign)).lattice_types == (1,)
    assert started_model(*parts(campaign)).periodic == (True, True, False)


def test_validate_says_what_a_script_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its runs, their time, and where the files that it reads were found."""
    path = written(tmp_path, REBO + "run 25\n", WITH_SCRIPT.replace("count = 2", "count = 1"))
    (tmp_path / "MoS.rebomos").write_text("mine")
    assert main(["validate", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == f"script   {tmp_path / 'growth.in'}: 50 + 25 steps of 1 fs, 0.075 ps"
    assert said[2] == f"reads    {tmp_path / 'MoS.rebomos'}"


def test_all_that_is_wrong_is_reported(tmp_path: Path) -> None:
    """Commands that cannot be and files that are missing are reported together, in the order of their lines."""
    script = SCRIPT.replace("create_box 1 box", "read_data none.data").replace(
        "fix move", "dump 1 all atom 5 x\nfix move"
    )
    with pytest.raises(CampaignFileError, match=r"growth\.in, line 4: .*none\.data.*\n.*growth\.in, line \d+: .*dump"):
        load_campaign(written(tmp_path, script), cores=4)


def test_script_behind_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """The mark is no part of the first command, nor of the copy that runs."""
    campaign = kept(written(tmp_path, f"\ufeff{SCRIPT}"))
    assert (CampaignFolder(campaign.folder).script / "growth.in").read_text() == SCRIPT
