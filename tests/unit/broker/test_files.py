"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop_broker.files import replaced_whole, take_over, write_synced


@pytest.mark.parametrize("content", ["Größe\r\n", b"\x00\xff\n"])
def test_what_is_written_is_there_for_the_user_alone(tmp_path: Path, content: str | bytes) -> None:
    """Text or bytes, as they are, instead of what was there."""
    path = tmp_path / "a.json"
    path.write_text("before")
    write_synced(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """A block that fails changes nothing and leaves nothing."""
    path = tmp_path / "a.json"
    path.write_text("before")

    def fails() -> None:
        with replaced_whole(path) as copy:
            copy.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_file_of_another_program_is_taken_over(tmp_path: Path) -> None:
    """It stands in its place, and no longer where it was written."""
    raw = tmp_path / "raw"
    raw.write_bytes(b"atoms")
    assert take_over(raw, tmp_path / "kept") == tmp_path / "kept"
    assert (tmp_path / "kept").read_bytes() == b"atoms"
    assert not raw.exists()
