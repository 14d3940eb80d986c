"""Paths, keys and private files: who may read them, and who wins a race."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ccr.config.keys import local_key, stored_key
from ccr.config.model import Config, Secret
from ccr.config.paths import Paths
from ccr.config.private import (
    create_private,
    draft_beside,
    make_private_folder,
    read_private,
    remove_drafts,
    write_private,
)
from ccr.errors import StartError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"HOME": "/h"}, "/h/.claude-code-router"),
        ({"HOME": "/h", "CCR_HOME": "/elsewhere/x"}, "/elsewhere/x"),
        ({"HOME": "/h", "CCR_HOME": "~/x"}, "/h/x"),
        ({"HOME": "/h", "CCR_HOME": "~"}, "/h"),
        ({"HOME": "/h", "CCR_HOME": ""}, "/h/.claude-code-router"),
        ({"CCR_HOME": "/x"}, "/x"),
        ({"CCR_HOME": "relative"}, str(Path("relative").absolute())),
    ],
)
def test_the_home_folder(environ: dict[str, str], home: str) -> None:
    assert str(Paths.from_environ(environ).home) == home


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"CCR_HOME": "~/x"}])
@pytest.mark.fault("L117", outcome="a sentence that says what to set")
def test_no_home_is_a_sentence(environ: dict[str, str]) -> None:
    with pytest.raises(StartError, match="HOME"):
        Paths.from_environ(environ)


def test_the_names_below_home() -> None:
    paths = Paths(Path("/h"))
    names = (
        paths.config_file,
        paths.key_file,
        paths.state_file,
        paths.lock_file,
        paths.log_file,
        paths.start_log,
    )
    assert [str(name) for name in names] == [
        "/h/config.json",
        "/h/.key",
        "/h/service.json",
        "/h/.lock",
        "/h/logs/ccr.log",
        "/h/logs/start.log",
    ]


@pytest.mark.fault("L115", outcome="files 0600, folders 0700")
def test_files_and_folders_are_private_under_any_umask(paths: Paths) -> None:
    before = os.umask(0)
    try:
        make_private_folder(paths.log_dir)
        write_private(paths.state_file, b"1")
        write_private(paths.state_file, b"2")
    finally:
        os.umask(before)
    assert paths.state_file.read_bytes() == b"2"
    assert paths.state_file.stat().st_mode & 0o777 == 0o600
    folders = [paths.log_dir, *paths.log_dir.parents]
    made = folders[: folders.index(paths.home.parent)]
    assert {folder.stat().st_mode & 0o777 for folder in made} == {0o700}
    assert [file.name for file in paths.home.iterdir() if file.is_file()] == ["service.json"], (
        "no drafts are left"
    )


def test_an_open_folder_of_ours_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_writing_replaces_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_private(link, b"new")
    assert target.read_text() == "kept"
    assert not link.is_symlink()


def test_reading_refuses_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing"):
        with pytest.raises(OSError):  # noqa: PT011 - which one is the system's choice
            read_private(tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_private(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_private(file, b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - a folder cannot be replaced by a file
        write_private(tmp_path / "folder", b"new")
    assert file.read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_creating_happens_once(tmp_path: Path) -> None:
    assert create_private(tmp_path / "file", b"first")
    assert not create_private(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


class TestKey:
    def test_the_configured_key_counts_and_makes_no_file(self, paths: Paths) -> None:
        assert local_key(paths, Config(api_key=Secret("mine"))) == Secret("mine")
        assert not paths.key_file.exists()

    def test_it_is_made_once_and_private(self, paths: Paths) -> None:
        assert stored_key(paths) is None
        key = local_key(paths, Config())
        assert len(key.reveal()) == 43
        assert local_key(paths, Config()) == key == stored_key(paths)
        assert paths.key_file.stat().st_mode & 0o777 == 0o600
        assert paths.home.stat().st_mode & 0o777 == 0o700

    def test_an_open_key_file_is_closed(self, paths: Paths) -> None:
        key = local_key(paths, Config())
        paths.key_file.chmod(0o644)
        assert local_key(paths, Config()) == key
        assert paths.key_file.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        "content", [b"", b"short\n", b"\xff\xfe" * 30, b"has spaces in it, many of them"]
    )
    def test_a_damaged_file_is_named_and_not_quoted(self, paths: Paths, content: bytes) -> None:
        paths.home.mkdir()
        paths.key_file.write_bytes(content)
        with pytest.raises(StartError, match="is damaged") as caught:
            local_key(paths, Config())
        assert str(paths.key_file) in str(caught.value)
        assert "spaces" not in str(caught.value)

    def test_a_link_is_not_followed(self, paths: Paths, tmp_path: Path) -> None:
        paths.home.mkdir()
        target = tmp_path / "target"
        target.write_text("k" * 43)
        paths.key_file.symlink_to(target)
        with pytest.raises(StartError, match="cannot be used"):
            local_key(paths, Config())

    def test_another_user_s_file(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        local_key(paths, Config())
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        with pytest.raises(StartError, match="another user"):
            local_key(paths, Config())

    def test_a_file_that_vanishes(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ccr.config.keys.create_private", lambda path, data: False)
        with pytest.raises(StartError, match="vanished"):
            local_key(paths, Config())

    def test_twenty_processes_make_one_key(self, paths: Paths) -> None:
        program = (
            "import sys; from pathlib import Path; from ccr.config.keys import local_key;"
            "from ccr.config.model import Config; from ccr.config.paths import Paths;"
            "sys.stdin.read(); print(local_key(Paths(Path(sys.argv[1])), Config()).reveal())"
        )
        command = [sys.executable, "-c", program, str(paths.home)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(20)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        keys = {process.communicate()[0] for process in processes}
        assert len(keys) == 1
        assert [file.name for file in paths.home.iterdir()] == [".key"]


WRITES = """
import sys
import time
from pathlib import Path
from ccr.config.private import write_private
contents = [letter.encode() * 300_000 for letter in "ab"]
print("ready", flush=True)
while True:
    for content in contents:
        write_private(Path(sys.argv[1]), content)
"""


@pytest.mark.fault("L109", outcome="a file that is being written is the old one or the new one, whole")
def test_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write_private(file, b"b" * 300_000)
    chance = random.Random(3)  # noqa: S311 - when to kill is no secret
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITES, str(file)], stdout=subprocess.PIPE) as writing:
            assert writing.stdout is not None
            writing.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.05))
            writing.kill()
        data = file.read_bytes()
        assert len(data) == 300_000
        assert data in (b"a" * 300_000, b"b" * 300_000)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_drafts_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write_private(file, b"kept")
    mine = draft_beside(file, b"a key")
    theirs = mine.rename(tmp_path / mine.name.replace(f".{os.getpid()}.", ".77."))
    for name in ("notes.tmp", "config.json.77.tmp", "config.json.77.0123456.tmp"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path, lambda pid: pid == 77)
    assert theirs.exists()
    remove_drafts(tmp_path, lambda pid: pid == 78)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "config.json.77.0123456.tmp",
        "config.json.77.tmp",
        "notes.tmp",
    ]
