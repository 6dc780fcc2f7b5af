"""The connection file: private, written in one step, read back as it was, and refused with a reason."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from moireloop_broker.connection import (
    FILE_NAME,
    Connection,
    NoConnectionFile,
    new_password,
    read_connection,
    write_connection,
)
from moireloop_broker.files import write_synced
from moireloop_broker.state.settings_store import read_settings_file, write_settings_file
from moireloop_broker.streams.curve import Curve
from tests.helpers.connections import connection_of


def connection(folder: Path, campaign: str = "demo") -> Connection:
    return connection_of(campaign, folder, "redis://:secret@127.0.0.1:6379/0", private_redis=True)


def test_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """By its own path or by its folder's."""
    written = connection(tmp_path)
    write_connection(written, tmp_path / FILE_NAME)
    assert read_connection(tmp_path / FILE_NAME) == written
    assert read_connection(str(tmp_path)) == written


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Mode 0600 from the first byte, whatever the umask and the mode of a file that was there before."""
    path = tmp_path / FILE_NAME
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        write_connection(connection(tmp_path), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While it is rewritten again and again, every reading is one whole version of it."""
    path = tmp_path / FILE_NAME
    versions = [connection(tmp_path, "a" * 60), connection(tmp_path, "b")]
    write_connection(versions[0], path)
    enough = threading.Event()

    def rewrite() -> None:
        while not enough.is_set():
            for version in versions:
                write_connection(version, path)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(300):
            assert read_connection(path) in versions
    finally:
        enough.set()
        writer.join()
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]


def test_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A text that cannot be written changes nothing."""
    path = tmp_path / "secret"
    write_synced(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_synced(path, "half a pair: \ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Keys that others may have seen are not used; the text says the mode."""
    path = tmp_path / FILE_NAME
    write_connection(connection(tmp_path), path)
    path.chmod(mode)
    with pytest.raises(NoConnectionFile, match=f"got {mode:04o}"):
        read_connection(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Invalid JSON"),
        ("{}", "campaign Field required"),
        ('["a"]', "not a connection file"),
        ('{"campaign": "../x"}', "campaign String should match"),
        ('{"kernel_name": "python3"}', "not a connection file"),
    ],
)
def test_foreign_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The text says which field is wrong."""
    path = tmp_path / FILE_NAME
    write_synced(path, text)
    with pytest.raises(NoConnectionFile, match=says):
        read_connection(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The path that was looked at stands in the text."""
    with pytest.raises(NoConnectionFile, match=str(tmp_path / FILE_NAME)):
        read_connection(tmp_path)


def test_settings_are_read_as_they_were_left(tmp_path: Path) -> None:
    """The broker finds the sections that the conductor left, private as well."""
    sections = {"workers": {"lease_s": 5.0}, "space": {"temperature_k": [1000.0, 3000.0]}}
    write_settings_file(tmp_path, sections)
    assert read_settings_file(tmp_path) == sections
    assert (tmp_path / "settings.json").stat().st_mode & 0o777 == 0o600


def test_passwords_differ_and_fit_into_a_url() -> None:
    """Each is 192 random bits in hexadecimal."""
    passwords = {new_password() for _ in range(100)}
    assert len(passwords) == 100
    assert all(len(password) == 48 and int(password, 16) >= 0 for password in passwords)


def test_curve_keys_are_two_pairs() -> None:
    """Four different keys of 40 characters, new each time."""
    one, other = Curve.generate(), Curve.generate()
    keys = {*one.model_dump().values(), *other.model_dump().values()}
    assert len(keys) == 8
    assert {len(key) for key in keys} == {40}
