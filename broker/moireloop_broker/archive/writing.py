"""Writes a part of the log as a Parquet file: whole, synced and read again before anyone relies on it (adapter)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from moireloop_broker.archive.parts import ArchiveLost, Part, name_of, order
from moireloop_broker.archive.reading import PartFile
from moireloop_broker.contract.codec import peeked_tag
from moireloop_broker.files import replaced_whole, synced
from moireloop_broker.folder import FOLDER_MODE

ROWS_AT_ONCE: Final = 2000
"""Events of a row group, which is read whole."""

Entry = tuple[str, bytes]


def write_part(folder: Path, blocks: Iterable[Sequence[Entry]]) -> Part:
    """Write entries of the log, in order, as one file of the archive; returns what it has.

    Columns: `ms` and `number` make the id, `tag` names the kind of event, `body` is the event as packed in the log.

    Args:
        folder: of the archive; it is made where it is missing.
        blocks: the entries, at least one, in blocks that fit into memory.

    Raises:
        OSError: the file cannot be written.
        ArchiveLost: it does not read back as it was written.
    """
    if not folder.is_dir():
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        synced(folder.parent)
    blocks = iter(blocks)
    first_block = next(blocks)
    first, last, events, digest = first_block[0][0], "", 0, hashlib.sha256()
    with replaced_whole(folder / name_of(first)) as temporary:
        with _writer(temporary) as writer:
            for block in chain([first_block], blocks):
                writer.write_table(_table(block), row_group_size=ROWS_AT_ONCE)
                last, events = block[-1][0], events + len(block)
                _add(digest, block)
        synced(temporary)
        part = Part(first, last, events, temporary.stat().st_size)
        _check(temporary, part, digest.digest())
    synced(folder)
    return part


def _writer(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet

    columns = [("ms", pa.int64()), ("number", pa.int64()), ("tag", pa.string()), ("body", pa.binary())]
    return pyarrow.parquet.ParquetWriter(
        path, pa.schema(columns), compression="zstd", use_dictionary=["tag"], write_statistics=["ms"]
    )


def _table(block: Sequence[Entry]) -> Any:
    import pyarrow as pa

    ids = [order(entry_id) for entry_id, _ in block]
    return pa.table(
        {
            "ms": pa.array([ms for ms, _ in ids], pa.int64()),
            "number": pa.array([number for _, number in ids], pa.int64()),
            "tag": pa.array([peeked_tag(body) for _, body in block], pa.string()),
            "body": pa.array([body for _, body in block], pa.binary()),
        }
    )


def _check(path: Path, part: Part, digest: bytes) -> None:
    found, count = hashlib.sha256(), 0
    with PartFile(path, part) as written:
        for block in written.blocks():
            count += len(block)
            _add(found, block)
    if count != part.events or found.digest() != digest:
        raise ArchiveLost(f"{path.parent} does not keep what is written to it: a part of the log reads otherwise")


def _add(digest: Any, block: Sequence[Entry]) -> None:
    for entry_id, body in block:
        digest.update(b"%s %d " % (entry_id.encode(), len(body)))
        digest.update(body)
