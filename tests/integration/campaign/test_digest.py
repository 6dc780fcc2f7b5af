"""A look at a long campaign reads its digest and what came since, and comes to the same as the whole log does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.campaigns import campaign_of, session, wait_until
from bench.long_campaign import Filler, continued, make
from moireloop.results.summary import summary_of
from moireloop.session.digest import Digest, digest_of, read_digest, write_digest
from moireloop.session.ending import Ending
from moireloop.session.history import History
from moireloop.session.records import stored_records, stored_status
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.service.stored_redis import data_mark
from moireloop_broker.state.event_log import EventLog

TARGETS = (Target(twist_deg=8.2, tolerance_deg=0.3),)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """A stopped campaign of a few results."""
    return make(tmp_path_factory.mktemp("long"), 12)


@pytest.fixture
def folder(stopped: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    """A copy of it, with the digest that its last session would have left."""
    shutil.copytree(stopped.root, tmp_path / "copy.campaign")
    copy = CampaignFolder(tmp_path / "copy.campaign")
    status, history = stored_status(copy)
    digest = digest_of(status.last_id, history, summary_of(history.results, TARGETS))
    write_digest(copy, Digest(digest.last_id, digest.history, status, data_mark(copy.redis)))
    return copy


def shown_of(history: History) -> tuple[object, ...]:
    """What a look says of a history, but the summary."""
    ids = [result.candidate.candidate_id for result in history.results]
    return ids, history.outcomes, history.session_starts_s, history.steered, history.counted_outside


def test_digest_of_the_data_as_they_are_needs_no_server(
    folder: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was written since, status and history come from the digest alone, and equal the log's."""
    status, history = stored_status(CampaignFolder(folder.root))
    read = stored_records(folder)[0]
    assert shown_of(history) == shown_of(read)
    assert history.summary == summary_of(read.results, TARGETS)
    monkeypatch.setattr("moireloop.session.records.stored_redis", None)
    assert stored_status(folder)[0] == status


def test_what_came_after_the_digest_is_read_from_the_log(folder: CampaignFolder) -> None:
    """Results of a later session that was killed are in the look, each once."""
    continued(folder, 12, 5)
    status, history = stored_status(folder)
    assert status.counts["measured"] == 17
    assert history.outcomes["measured"] == 17
    assert shown_of(history) == shown_of(stored_records(folder)[0])


@pytest.mark.parametrize("damage", ["cut", "another campaign", "ahead of the log"])
def test_digest_that_does_not_fit_is_passed_over(folder: CampaignFolder, damage: str) -> None:
    """A digest that is damaged, of another campaign, or of a log that has lost its end leaves the log to be read."""
    whole = folder.digest_file.read_bytes()
    kept = read_digest(folder)
    assert kept is not None
    if damage == "cut":
        folder.digest_file.write_bytes(whole[: len(whole) // 2])
    elif damage == "another campaign":
        identity = folder.identity_file.read_text()
        folder.identity_file.write_text(identity.replace('"id": "', '"id": "0'))
    else:
        kept.history.outcomes["measured"] = 99
        write_digest(folder, Digest("99999999999999-0", kept.history))
    assert stored_status(folder)[1].outcomes["measured"] == 12


def test_a_session_leaves_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs the digest follows the log; when it has ended, the digest describes the data that it left."""
    monkeypatch.setattr("moireloop.session.followed_log.LEAST_RESULTS", 1)
    monkeypatch.setattr("moireloop.session.followed_log.EVERY_S", 0.0)
    with campaign_of({"model": "noop"}, workers=1, results=3) as campaign:
        folder = CampaignFolder(campaign.folder)
        with session(campaign, without=("optimizer", "pool", "analyzer-0")) as (conductor, connection):
            with connection.open_redis() as client:
                filler = Filler(client, connection.keys)
                for number in range(3):
                    filler.result(number, 1.7e9)
            wait_until(lambda: conductor.step() is not None and conductor.ending() is not None, "three results")
            running = read_digest(folder)
            assert running is not None
            assert running.status is None
            conductor.finish(Ending(True, "enough"))
            with connection.open_redis() as client:
                events = [event for _, event in EventLog(client, connection.keys).replay()]
        left = read_digest(folder)
        assert left is not None
        assert left.is_whole(folder)
        assert left.status is not None
        assert left.status.state == "completed"
        assert left.history.outcomes == History.of(events).outcomes
        assert stored_status(folder)[0] == left.status
