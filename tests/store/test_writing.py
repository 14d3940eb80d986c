"""The database as it is written, and what may be in its way."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ccr.errors import StoreError
from ccr.store import migrations, sqlite_reading, sqlite_writing
from ccr.store.read import Filters, open_read_only, recent_requests
from ccr.store.sqlite_writing import ASIDE, SqliteStore
from tests.store.database import PLAIN, failed, make_database, readable_only

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ccr.store.records import RequestRow

DAY_MS = 24 * 3600 * 1000
LARGE = 10**12
FORK = multiprocessing.get_context("fork")
"""Children of the test's own process are ready at once."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(path: Path, warnings: list[str]) -> Iterator[SqliteStore]:
    made = SqliteStore(path, warnings.append)
    yield made
    made.close()


def found(path: Path) -> list[RequestRow]:
    with open_read_only(path) as reader:
        return recent_requests(reader, limit=100_000)


def numbered(count: int) -> list[RequestRow]:
    return [PLAIN._replace(request_id=f"req_{number}") for number in range(count)]


def test_rows_come_back_as_they_were(path: Path, store: SqliteStore) -> None:
    store.write([PLAIN, failed(session=None)], {"5e55-10": "-home-me-work"})
    store.write([PLAIN], {"5e55-10": "-home-me-other"})
    newest, refused, first = found(path)
    assert first == PLAIN._replace(id=1, project="-home-me-other")
    assert refused == failed(id=2, session=None)
    assert newest.id == 3


def test_the_files_are_their_owners_alone(path: Path, store: SqliteStore) -> None:
    before = os.umask(0)
    try:
        store.write([PLAIN], {})
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys([f"usage.sqlite{suffix}" for suffix in ("", "-wal", "-shm")], 0o600)
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["usage.sqlite"]


def test_a_file_that_others_may_read_is_closed_to_them(path: Path, store: SqliteStore) -> None:
    make_database(path, [])
    path.chmod(0o644)
    store.write([PLAIN], {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_links_are_not_followed(path: Path, store: SqliteStore, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "other").mkdir()
    target = tmp_path / "other" / "precious"
    target.write_bytes(b"")
    path.with_name(path.name + suffix).symlink_to(target)
    with pytest.raises(StoreError) as raised:
        store.write([PLAIN], {})
    assert raised.value.reason == "unusable"
    assert target.read_bytes() == b""
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["precious"]


def test_no_folder_no_rows(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        SqliteStore(tmp_path / "gone" / "usage.sqlite", print).write([PLAIN], {})


def test_a_setting_that_is_refused(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writing, "SETTINGS", ("NONSENSE",))
    with pytest.raises(StoreError, match="NONSENSE"):
        store.write([PLAIN], {})


def test_a_folder_without_the_right_to_write(warnings: list[str]) -> None:
    with readable_only() as folder:
        store = SqliteStore(folder / "usage.sqlite", warnings.append)
        with pytest.raises(StoreError, match="readonly database") as raised:
            store.write([PLAIN], {})
        assert raised.value.reason == "unusable"
    assert not warnings


def test_an_old_database_is_brought_up_to_date(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path, numbered(3))
    steps = (*migrations.MIGRATIONS, ("ALTER TABLE requests ADD COLUMN colour TEXT", "CREATE TABLE more (x)"))
    monkeypatch.setattr(sqlite_writing, "MIGRATIONS", steps)
    monkeypatch.setattr(sqlite_writing, "VERSION", len(steps))
    monkeypatch.setattr(sqlite_reading, "VERSION", len(steps))
    with pytest.raises(StoreError) as raised:
        open_read_only(path)
    assert raised.value.reason == "missing"
    store.write([PLAIN], {})
    assert [row.request_id for row in found(path)] == ["req_1", "req_2", "req_1", "req_0"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), count(colour) FROM requests").fetchone() == (4, 0)
        assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)


def test_a_step_that_fails_leaves_the_database_as_it_was(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path, numbered(3))
    steps = (*migrations.MIGRATIONS, ("ALTER TABLE requests ADD COLUMN colour TEXT", "CREATE NONSENSE"))
    monkeypatch.setattr(sqlite_writing, "MIGRATIONS", steps)
    monkeypatch.setattr(sqlite_writing, "VERSION", len(steps))
    with pytest.raises(StoreError, match="NONSENSE"):
        store.write([PLAIN], {})
    assert len(found(path)) == 3


def test_a_newer_database_is_left_alone(path: Path, store: SqliteStore, warnings: list[str]) -> None:
    make_database(path, numbered(3))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer ccr") as raised:
        store.write([PLAIN], {})
    assert raised.value.reason == "newer"
    assert path.read_bytes() == before
    assert not warnings


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_broken_database_is_set_aside(
    path: Path, store: SqliteStore, warnings: list[str], content: bytes
) -> None:
    path.write_bytes(content)
    store.write([PLAIN], {})
    assert len(found(path)) == 1
    assert path.with_name(path.name + ASIDE).read_bytes() == content
    (warning,) = warnings
    assert "usage.sqlite.broken" in warning


def test_a_database_that_breaks_while_it_is_open(path: Path, store: SqliteStore, warnings: list[str]) -> None:
    store.write(numbered(500), {})
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xee" * (len(data) - 4096)
    path.write_bytes(data)
    store.write([PLAIN], {})
    assert len(found(path)) == 1
    assert len(warnings) == 1


def test_one_that_cannot_be_set_aside_says_so(path: Path, store: SqliteStore, warnings: list[str]) -> None:
    path.write_bytes(b"no database " * 1000)
    path.with_name(path.name + ASIDE).mkdir()
    with pytest.raises(StoreError) as raised:
        store.write([PLAIN], {})
    assert raised.value.reason == "broken"
    assert not warnings


def test_what_belongs_to_the_broken_one_goes_with_it(path: Path, store: SqliteStore) -> None:
    path.write_bytes(b"no database " * 1000)
    path.with_name(f"{path.name}-shm").write_bytes(b"of the old one")
    store.write([PLAIN], {})
    assert path.with_name(f"{path.name}{ASIDE}-shm").read_bytes() == b"of the old one"
    assert len(found(path)) == 1


def test_another_process_that_sets_up_the_same_at_the_same_moment(path: Path, store: SqliteStore) -> None:
    make_database(path, [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN").execute("SELECT * FROM requests").fetchall()
        store._opened()  # the log cannot be changed while somebody reads
        other.execute("COMMIT")
    store.write([PLAIN], {})
    assert len(found(path)) == 1


def test_a_database_that_was_removed_is_made_again(path: Path, store: SqliteStore) -> None:
    store.write(numbered(3), {})
    for file in list(path.parent.iterdir()):
        file.unlink()
    store.write([PLAIN], {})
    assert len(found(path)) == 1


def test_one_that_another_process_keeps_locked(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writing, "BUSY_S", 0.01)
    store.write([PLAIN], {})
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as raised:
            store.write([PLAIN], {})
        assert raised.value.reason == "unusable"
        assert len(found(path)) == 1, "who reads waits for nobody"
        other.execute("ROLLBACK")
    store.write([PLAIN], {})
    assert len(found(path)) == 2


# -- how much is kept ----------------------------------------------------------------------------------


def test_old_requests_go(path: Path, store: SqliteStore) -> None:
    now = PLAIN.at_ms
    rows = [PLAIN._replace(at_ms=now - age * DAY_MS, session=f"of day {age}") for age in (3, 2, 1, 0)]
    store.write(rows, {f"of day {age}": "-p" for age in range(4)})
    assert store.prune(now - 2 * DAY_MS, LARGE) == 1
    assert store.prune(now - 2 * DAY_MS, LARGE) == 0
    assert [row.session for row in found(path)] == ["of day 0", "of day 1", "of day 2"]
    with closing(sqlite3.connect(path)) as connection:
        sessions = connection.execute("SELECT session FROM sessions ORDER BY 1").fetchall()
    assert sessions == [("of day 0",), ("of day 1",), ("of day 2",)]


def test_a_database_that_is_too_large_loses_its_oldest_requests(path: Path, store: SqliteStore) -> None:
    limit = 400_000
    rows = [row._replace(error="e" * 200) for row in numbered(5000)]
    store.write(rows, {})
    store.close()
    size = path.stat().st_size
    assert size > limit
    while store.is_larger_than(limit):
        assert store.prune(0, limit) > 0
    store.close()
    assert path.stat().st_size <= limit + 4096 * 10, "the room is given back"
    kept = [int(row.request_id.removeprefix("req_")) for row in found(path)]
    assert kept == sorted(range(5000), reverse=True)[: len(kept)], "the newest"
    assert len(kept) > 500
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_single_request_that_is_too_large_goes_as_well(path: Path, store: SqliteStore) -> None:
    store.write([PLAIN], {})
    assert store.prune(0, 1) == 1
    assert found(path) == []


# -- several processes ---------------------------------------------------------------------------------


def write_for_ever(path: Path, name: str, rounds: int | None) -> None:
    store = SqliteStore(path, print)
    written = 0
    while rounds is None or written < rounds:
        row = PLAIN._replace(request_id=f"{name}_{written}")
        store.write([row, row], {"5e55-10": name})
        written += 1
    store.close()


def test_two_processes_write_and_a_third_reads(path: Path) -> None:
    make_database(path, [])
    writers = [FORK.Process(target=write_for_ever, args=(path, name, 150)) for name in "ab"]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        count = len(found(path))
        assert count % 2 == 0, "batches are whole"
        assert count >= seen
        seen = count
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    with open_read_only(path) as reader:
        for name in "ab":
            assert len(recent_requests(reader, Filters(text=f"{name}_"), limit=1000)) == 300


def test_a_writer_that_is_killed_leaves_whole_batches(path: Path) -> None:
    make_database(path, [])
    for _ in range(5):
        before = len(found(path))
        writer = FORK.Process(target=write_for_ever, args=(path, "a", None))
        writer.start()
        while len(found(path)) < before + 20:
            pass
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert len(found(path)) % 2 == 0
    store = SqliteStore(path, print)
    store.write([PLAIN], {})
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def write_on_a_full_disk(path: Path, said: multiprocessing.queues.SimpleQueue[str]) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = SqliteStore(path, said.put)
    store.write(numbered(3), {})
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, unlimited[1]))
    try:
        for _ in range(100):
            store.write(numbered(100), {})
    except StoreError as error:
        said.put(error.reason)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    store.write([failed(request_id="after")], {})
    store.close()
    said.put("done")


def test_a_full_disk(path: Path) -> None:
    said = FORK.SimpleQueue()
    writer = FORK.Process(target=write_on_a_full_disk, args=(path, said))
    writer.start()
    writer.join(60)
    assert writer.exitcode == 0
    assert [said.get(), said.get()] == ["unusable", "done"]
    rows = found(path)
    assert rows[0].request_id == "after"
    assert (len(rows) - 4) % 100 == 0, "batches are whole"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
