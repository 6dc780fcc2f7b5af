"""A finished or stopped campaign read as `moireloop.open` does it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

import moireloop
from moireloop.campaign_file.load import load_campaign
from moireloop.session.lock import CampaignIsRunning, conductor_name
from moireloop.session.startup import settings_sections
from moireloop_broker.contract.codec import pack, peeked_tag
from moireloop_broker.contract.events import Measurement, Observation, Requested, Result, RunFailed
from moireloop_broker.contract.steering import RetargetRequest, WantedTwist
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.settings_store import write_settings_file
from moireloop_gateway.sources import follower
from moireloop_gateway.sources.place import Place
from tests.helpers.stopped_campaigns import campaign_file, contents, running_server, stopped
from tests.helpers.waiting import wait_until


def left(file: Path) -> Path:
    """The folder of a stopped campaign with two results, a structure, a series of one frame, and other targets than in
    its file.
    """
    with running_server(file) as (folder, _):
        from moireloop_broker.connection import read_connection

        write_settings_file(folder.root, settings_sections(load_campaign(file, "look")))
        structure = folder.final_data("c1", 1)
        structure.parent.mkdir(parents=True)
        structure.write_text("LAMMPS data file\n")
        connection = read_connection(folder.connection_file)
        with contextlib.closing(connection.open_redis()) as client:
            request = RetargetRequest(targets=[WantedTwist(twist_deg=5.0)])
            EventLog(client, connection.keys).append(Requested(requester="ada", request=request, at_s=1.0))
            client.xadd(connection.keys.log, {"e": b"\xc1garbage"})
            seen = Observation(
                candidate_id="c0", attempt=1, step=100, time_ps=0.4, measurement=Measurement(reason="molten")
            )
            Observations(client, connection.keys).add(seen)
    return folder.root


def test_stopped_campaign_is_read_whole_and_left_as_it_is(tmp_path: Path) -> None:
    """By its folder or its file, also where it was moved; nothing in the folder changes."""
    folder = left(campaign_file(tmp_path / "a"))
    moved = Path(shutil.move(tmp_path / "a", tmp_path / "b")) / folder.name
    before = contents(moved)
    for path in (moved, tmp_path / "b" / "tiny.toml"):
        campaign = moireloop.open(path)
        assert (campaign.name, campaign.folder, campaign.status.state) == ("tiny", moved, "started")
        assert [result.candidate.candidate_id for result in campaign.results] == ["c0", "c1"]
        failed = campaign.events([RunFailed])
        assert [entry.message.candidate_id for entry in failed] == ["c0", "c1"]
        assert [entry.message for entry in campaign.events([Result], since=failed[1].id)] == [campaign.results[1]]
        assert len(campaign.events()) == len({entry.id for entry in campaign.events()}) > 6
        assert [target.twist_deg for target in campaign.targets] == [5.0]
        assert campaign.budget.results == 20
        (series,) = campaign.series
        assert (series.candidate_id, series.points[0].reason) == ("c0", "molten")
        assert campaign.best() is None
        assert campaign.structures == {"c1": CampaignFolder(moved).final_data("c1", 1)}
        settings = campaign.settings
        assert settings["targets"] == [{"twist_deg": 5.0, "tolerance_deg": 0.5}]
        assert settings["space"] == {name: list(bounds) for name, bounds in campaign.space.root.items()}
        assert (settings["budget"]["results"], settings["growth"]["model"]) == (20, "noop")
        assert settings["frames"]["every_steps"] > 0
        frame = campaign.results_frame()
        assert list(frame["candidate_id"]) == ["c0", "c1"]
    assert contents(moved) == before


def test_log_that_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a gateway that follows it: one line says why, and when it can be read each event comes once."""
    folder = stopped(campaign_file(tmp_path))
    stray = folder.redis / "appendonlydir" / "stray"
    stray.symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(follower, "UNREADABLE_AGAIN_S", 0.05)
    ids: list[str] = []
    said: list[tuple[str, str]] = []
    following = follower.Follower(
        Place("tiny", folder), lambda entries, _: ids.extend(one for one, _ in entries), lambda *both: said.append(both)
    )
    following.start()
    wait_until(lambda: "unreadable" in dict(said), "the log cannot be read", 60)
    stray.unlink()
    wait_until(lambda: "ended" in dict(said), "the log is read", 60)
    following.close()
    following.join(60)
    phases = [phase for phase, _ in said]
    assert (phases[0], phases[-1], set(phases[1:-1])) == ("reading", "ended", {"unreadable"})
    words = dict(said)["unreadable"]
    assert words.startswith(f"cannot copy {folder.redis} to ")
    assert "\n" not in words
    assert len(ids) == len(set(ids)) > 6


def test_running_campaign_is_not_opened_as_a_stored_one(tmp_path: Path) -> None:
    """The error names what reaches it."""
    import redis

    with running_server(campaign_file(tmp_path)) as (folder, server):
        client = redis.Redis.from_url(server.url, protocol=2, client_name=conductor_name("tiny", "abc"))
        with contextlib.closing(client):
            client.ping()
            with pytest.raises(CampaignIsRunning, match=r"moireloop\.connect"):
                moireloop.open(folder.root)


def test_tag_is_read_without_the_rest() -> None:
    """Of maps of any size; where it does not come first, or there is no message, too."""
    small = Requested(requester="ada", request=RetargetRequest(targets=[WantedTwist(twist_deg=5.0)]), at_s=1.0)
    large = Observation(candidate_id="c", attempt=1, step=1, time_ps=0.0, measurement=Measurement(reason="molten"))
    assert peeked_tag(pack(small)) == "requested/1"
    assert peeked_tag(pack(large)) == "observation/4"
    assert peeked_tag(b"\xde\x00\x10" + pack(small)[1:]) == "requested/1"
    assert peeked_tag(b"\x82\xa1x\x01\xa3tag\xa3a/1") == "a/1"
    for nothing in (b"", b"\xc1", b"\x81\xa3tag", b"\x81\xa3tag\x01", b"\x80"):
        assert peeked_tag(nothing) == ""
