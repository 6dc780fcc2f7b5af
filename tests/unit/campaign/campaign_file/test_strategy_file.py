"""The file of a user's own strategy: kept in the campaign's folder, where the optimizer takes it from."""

from __future__ import annotations

from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.session.startup import settings_sections
from moireloop_broker.folder import CampaignFolder
from moireloop_optimizer.generators.check import keep_strategy as keep_strategy_file
from tests.helpers.wrong_campaign_files import GOOD

OWN = "class Mine:\n    def __init__(self, vocs): pass\n    def suggest(self, n): pass\n    def ingest(self, r): pass\n"


def started(folder: Path, strategy: str = "own.py:Mine", text: str = OWN) -> Campaign:
    """A campaign whose folder is there, with own.py beside its file."""
    (folder / "own.py").write_text(text)
    (folder / "search.toml").write_text(GOOD.replace('strategy = "qei"', f'strategy = "{strategy}"'))
    campaign = load_campaign(folder / "search.toml", "look")
    CampaignFolder(campaign.folder).create()
    return campaign


def keep_strategy(campaign: Campaign) -> str | None:
    """Keep the file as the start of the campaign does."""
    return keep_strategy_file(campaign.optimizer, CampaignFolder(campaign.folder))


def test_copy_of_the_file_is_what_the_optimizer_gets(tmp_path: Path) -> None:
    """It may be edited or go away while the campaign runs."""
    campaign = started(tmp_path)
    assert keep_strategy(campaign) is None
    kept = tmp_path / "search.campaign" / "strategy" / "own.py"
    assert kept.read_text() == OWN
    section = settings_sections(campaign)["optimizer"]
    assert isinstance(section, dict)
    assert section["strategy"] == f"{kept}:Mine"


def test_changed_file_is_reported(tmp_path: Path) -> None:
    """On resume, when the copy is replaced by other content; the same content is no change."""
    keep_strategy(started(tmp_path))
    assert keep_strategy(started(tmp_path)) is None
    assert keep_strategy(started(tmp_path, text=f"{OWN}#\n")) == "optimizer.strategy: other content of own.py"


def test_other_strategies_keep_nothing(tmp_path: Path) -> None:
    """Neither a built-in one nor a package's."""
    for strategy in ("qei", "xopt.generators.random:RandomGenerator"):
        campaign = started(tmp_path, strategy)
        assert keep_strategy(campaign) is None
        assert campaign.optimizer.strategy == strategy
        assert not CampaignFolder(campaign.folder).strategy.exists()


def test_clearing_removes_the_copy(tmp_path: Path) -> None:
    """`run --fresh` leaves nothing of the earlier one."""
    campaign = started(tmp_path)
    keep_strategy(campaign)
    CampaignFolder(campaign.folder).clear()
    assert not CampaignFolder(campaign.folder).strategy.exists()
