"""The file of a store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.response_store.files import UnsafeFile, file_identity, has_room, is_usable, make_private


def test_a_file_and_the_folders_before_it_are_made_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "responses"
    make_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_there_keeps_its_bytes_and_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "responses"
    path.write_bytes(b"kept")
    path.chmod(0o666)
    make_private(path)
    assert path.read_bytes() == b"kept"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no users here")
def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path.stat().st_uid
    if owner == 0:
        os.chown(tmp_path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UnsafeFile, match="the folder of the file belongs to another user"):
        make_private(tmp_path / "responses")
    assert not (tmp_path / "responses").exists()
    assert not is_usable(tmp_path / "responses")


def test_a_file_that_is_there_or_can_be_made_is_usable(tmp_path: Path) -> None:
    assert is_usable(tmp_path / "new" / "responses")
    assert not (tmp_path / "new").exists()
    (tmp_path / "there").touch()
    assert is_usable(tmp_path / "there")


def test_room_is_that_of_the_disk(tmp_path: Path) -> None:
    assert has_room(tmp_path / "file", 1)
    assert not has_room(tmp_path / "file", 1 << 60)


def test_a_file_is_told_from_a_later_one_of_its_name(tmp_path: Path) -> None:
    path, later = tmp_path / "one", tmp_path / "two"
    assert file_identity(path) is None
    path.touch()
    first = file_identity(path)
    assert first == file_identity(path)
    later.touch()
    later.replace(path)
    assert file_identity(path) != first
