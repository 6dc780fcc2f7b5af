"""`moireloop bluesky`: event-model documents of a campaign, published or into Tiled (main)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from moireloop.bluesky.documents import Document, Documents, Place, place_of
from moireloop.bluesky.entries import Source, running, stored
from moireloop.bluesky.publishing import Progress, Publisher, WrongAddress, publish
from moireloop.commands.started import client_or_folder
from moireloop.terminal.console import complain, say
from moireloop_broker.extras import refuse_without
from moireloop_broker.folder import CampaignFolder

TIMEOUT_S: Final = 5.0


def bluesky(
    path: Path,
    *,
    publish: str | None,
    tiled: str | None,
    serializer: str,
    prefix: str,
    secret_key: Path | None,
    server_key: Path | None,
    plaintext: bool,
    again: bool,
) -> int:
    """Write a campaign, running or finished, as event-model documents to bluesky's 0MQ proxy or into Tiled."""
    if (publish is None) == (tiled is None):
        raise WrongAddress("expected either --publish ADDRESS or --tiled URL")
    if (secret_key is None) != (server_key is None):
        raise WrongAddress("expected --secret-key and --server-key together")
    if tiled is not None:
        refuse_without("moireloop bluesky --tiled", ("tiled",))
        return _into_tiled(path, tiled)
    keys = (secret_key, server_key) if secret_key is not None and server_key is not None else None
    publisher = Publisher(publish or "", serializer, prefix=prefix, keys=keys, plaintext=plaintext, report=complain)
    with closing(publisher), _source(path) as source:
        return _published(source, publisher, again)


def _published(source: Source, publisher: Publisher, again: bool) -> int:
    said = source.description
    with closing(Progress(said.campaign_id or said.campaign, publisher.address)) as progress:
        if again:
            progress.forget()
        sent = _hand_on(source, lambda documents, place: publish(documents, place, publisher, progress))
    say(f"published {sent} documents of campaign {said.campaign!r} to {publisher.address}")
    return 0


def _into_tiled(path: Path, url: str) -> int:
    from moireloop.bluesky.tiled import TiledRuns

    runs = TiledRuns(url)

    def write(documents: list[Document], _place: Place) -> int:
        for name, document in documents:
            runs(name, document)
        return len(documents)

    with _source(path) as source:
        _hand_on(source, write)
    passed = f", {runs.passed_over} were there" if runs.passed_over else ""
    say(f"wrote {runs.written} runs of campaign {source.description.campaign!r} to {url}{passed}")
    return 0


def _hand_on(source: Source, take: Callable[[list[Document], Place], int]) -> int:
    """Hand on the documents of each entry; how many were taken."""
    documents, taken = Documents(source.description), 0
    for batch in source.batches:
        for entry in batch:
            if made := documents.of(entry):
                taken += take(made, place_of(entry))
    return taken


@contextmanager
def _source(path: Path) -> Iterator[Source]:
    """The campaign of a connection file, a campaign file or a folder. Raises NotRunning and what those raise."""
    source = client_or_folder(path, timeout_s=TIMEOUT_S)
    if isinstance(source, CampaignFolder):
        from moireloop.stored import open_campaign

        yield stored(open_campaign(source.root))
        return
    with source as client:
        yield running(client)
