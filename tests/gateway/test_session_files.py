"""Files of sessions: whose folder they are in, under which names, and how many stay."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.speed import SpeedFiles
from ccr.gateway.session_files import SessionFiles, check_folder

if TYPE_CHECKING:
    from pathlib import Path


def files(folder: Path, *, max_files: int = 500, **changes: Any) -> SessionFiles:
    return SessionFiles(SpeedFiles(folder=folder, **changes), max_files=max_files)


def test_a_file_a_session(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    made = files(folder)
    for number, session in enumerate(("s-1", "s-2", "s-1")):
        made.write(session, number, b"%d" % number)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "session-s-1.json": b"2",
        "session-s-2.json": b"1",
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_file_an_answer_and_other_names(tmp_path: Path) -> None:
    made = files(tmp_path / "x", prefix="speed", extension="txt", has_time=True)
    for at_ms in (1, 2):
        made.write("s", at_ms, b"")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["speed-s-1.txt", "speed-s-2.txt"]


def test_the_oldest_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir(mode=0o700)
    for name in ("session-old.json", "mine.json", "session-new.txt"):
        (folder / name).write_text("")
        os.utime(folder / name, (1, 1))
    files(folder, max_files=1).write("s", 0, b"")
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.json",
        "session-new.txt",
        "session-s.json",
    ]


def test_an_open_folder_of_ones_own_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    folder.chmod(0o755)
    files(folder).write("s", 0, b"")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither a link in place of the folder, nor one in place of the file."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    target = tmp_path / "target"
    target.mkdir()
    (shared / "ccr").symlink_to(target)
    with pytest.raises(PermissionError, match="is not followed"):
        files(shared / "ccr").write("s", 0, b"")
    assert list(target.iterdir()) == []
    victim = tmp_path / "victim"
    victim.write_text("kept")
    folder = shared / "own"
    folder.mkdir(mode=0o700)
    (folder / "session-s.json").symlink_to(victim)
    files(folder).write("s", 0, b"new")
    assert victim.read_text() == "kept"
    assert (folder / "session-s.json").read_text() == "new"


def test_a_folder_that_others_could_exchange(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "ccr").mkdir(parents=True)
    shared.chmod(0o777)
    with pytest.raises(PermissionError, match="can be exchanged by other users"):
        check_folder(shared / "ccr")
    shared.chmod(0o1777)
    check_folder(shared / "ccr")


def test_somebody_elses_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        check_folder(folder)
