"""From the event loop to the database: in batches, a little later, and never in a request's way."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from ccr.errors import StoreError
from ccr.store import recording, sqlite_writing
from ccr.store.projects import MAX_REMEMBERED, Projects
from ccr.store.read import open_read_only, recent_requests
from ccr.store.recording import MAX_WAITING, Cleaner, Recording, Retention
from ccr.store.sqlite_writing import SqliteStore
from tests.store.database import PLAIN, failed, make_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ccr.store.records import RequestRow

DAY_S = 24 * 3600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "DELAY_S", 0.01)
    monkeypatch.setattr(recording, "RETRY_S", 0.01)
    monkeypatch.setattr(sqlite_writing, "BUSY_S", 0.01)


def said() -> tuple[logging.Logger, list[str]]:
    lines: list[str] = []
    log = logging.Logger("test")  # noqa: LOG001 - not shared between tests
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign] # enough
    log.addHandler(handler)
    return log, lines


@asynccontextmanager
async def recorded(path: Path, log: logging.Logger | None = None, **more: Any) -> AsyncIterator[Recording]:
    """Give a recording that has begun, and close it."""
    kept = {"retention": lambda: Retention(days=10**5, max_bytes=10**9), **more}
    made = Recording(path, log=log or said()[0], **kept)
    made.start()
    try:
        yield made
    finally:
        await made.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the product needs no event for it
            await asyncio.sleep(0.002)


def found(path: Path) -> list[RequestRow]:
    with open_read_only(path) as reader:
        return recent_requests(reader, limit=100_000)


async def test_what_is_put_stands_in_the_database_a_little_later(path: Path) -> None:
    async with recorded(path) as made:
        made.put(PLAIN)
        assert not path.exists()
        await until(lambda: made.report()["recorded"] == 1)
        assert len(found(path)) == 1
        made.put(PLAIN)
        made.put(PLAIN)
        await until(lambda: made.report()["recorded"] == 3)
        assert made.report() == {"recorded": 3, "waiting": 0, "lost": 0, "problem": None}
    assert len(found(path)) == 3


async def test_what_waits_is_written_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "DELAY_S", 3600)
    async with recorded(path) as made:
        made.put(PLAIN)
        await asyncio.sleep(0.02)
        made.put(PLAIN)
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["usage.sqlite"]
    assert len(found(path)) == 2


async def test_many_do_not_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "DELAY_S", 3600)
    monkeypatch.setattr(recording, "MANY", 3)
    async with recorded(path) as made:
        for _ in range(3):
            made.put(PLAIN)
        await until(lambda: made.report()["recorded"] == 3)


async def test_a_service_that_nobody_asks_makes_no_database(path: Path) -> None:
    async with recorded(path):
        await asyncio.sleep(0.05)
    assert not path.exists()


async def test_one_that_never_began_has_nothing_to_end(path: Path) -> None:
    await Recording(path, log=said()[0], retention=lambda: Retention(1, 1)).close()
    assert not path.exists()


async def test_what_cannot_be_written_waits_and_the_log_is_told_once(path: Path) -> None:
    log, lines = said()
    make_database(path, [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        async with recorded(path, log) as made:
            made.put(PLAIN)
            await until(lambda: made.report()["problem"] is not None)
            made.put(PLAIN)
            await asyncio.sleep(0.1)
            assert "locked" in made.report()["problem"]
            assert made.report()["waiting"] == 2
            other.execute("ROLLBACK")
            await until(lambda: made.report()["recorded"] == 2)
            assert made.report() == {"recorded": 2, "waiting": 0, "lost": 0, "problem": None}
    assert [line.partition(":")[0] for line in lines] == [
        "requests are not recorded for the moment",
        "requests are recorded again",
    ]
    assert len(found(path)) == 2


async def test_no_more_wait_than_there_is_room_for(path: Path) -> None:
    log, lines = said()
    path.mkdir()
    async with recorded(path, log) as made:
        for _ in range(MAX_WAITING):
            made.put(PLAIN)
        await until(lambda: made.report()["problem"] is not None)
        made.put(PLAIN)
        made.put(PLAIN)
        await until(lambda: made.report()["lost"] == 2)
        assert made.report()["waiting"] == MAX_WAITING
    assert lines[-1].startswith(f"{MAX_WAITING} requests were not recorded: {path} cannot be used")


async def test_what_comes_while_others_are_written_and_fail(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_WAITING", 2)
    monkeypatch.setattr(recording, "RETRY_S", 3600)
    async with recorded(path) as made:

        def write(store: SqliteStore, rows: Any, projects: Any) -> None:
            made._waiting.extend([failed(), failed()])
            raise StoreError("unusable", "no room")

        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "write", write)
            made.put(PLAIN)
            await until(lambda: made.report()["problem"] is not None)
        assert made.report() == {"recorded": 0, "waiting": 2, "lost": 1, "problem": "no room"}
    assert [row.outcome for row in found(path)] == ["error", "ok"]


async def test_a_fault_in_one_batch_does_not_end_the_recording(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, lines = said()
    async with recorded(path, log) as made:
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "write", None)
            made.put(PLAIN)
            await until(lambda: made.report()["lost"] == 1)
        assert "TypeError" in made.report()["problem"]
        made.put(PLAIN)
        await until(lambda: made.report()["recorded"] == 1)
    assert lines == ["1 requests were not recorded", "requests are recorded again"]


async def test_an_end_that_takes_too_long_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "END_S", 0.01)
    log, lines = said()
    asked = asyncio.Event()

    async def flushed(made: Recording) -> bool:
        asked.set()
        await asyncio.sleep(3600)
        return True

    monkeypatch.setattr(Recording, "_flushed", flushed)
    async with recorded(path, log) as made:
        made.put(PLAIN)
        await asked.wait()
    assert lines == ["1 requests were not recorded: no time was left"]


# -- how much is kept ----------------------------------------------------------------------------------


async def test_what_is_older_than_the_configuration_wants_goes(path: Path) -> None:
    now = PLAIN.at_ms / 1000 + 100 * DAY_S
    days = [1000]
    async with recorded(
        path, retention=lambda: Retention(days[0], 10**9), clock=lambda: now + len(days)
    ) as made:
        made.put(PLAIN)
        made.put(PLAIN._replace(at_ms=round(now * 1000)))
        await until(lambda: made.report()["recorded"] == 2)
        assert len(found(path)) == 2
        days[0] = 99
        made.put(PLAIN._replace(at_ms=round(now * 1000)))
        await until(lambda: made.report()["recorded"] == 3)
        assert len(found(path)) == 3, "not at every batch"
        days.extend([0] * DAY_S)
        made.put(PLAIN._replace(at_ms=round(now * 1000)))
        await until(lambda: made.report()["recorded"] == 4)
        assert len(found(path)) == 3


async def test_what_is_too_much_goes_at_once(path: Path) -> None:
    async with recorded(path, retention=lambda: Retention(10**5, 50_000)) as made:
        for count in range(1, 21):
            for _ in range(50):
                made.put(PLAIN)
            await until(lambda: made.report()["recorded"] == count * 50)  # noqa: B023 - used at once
    kept = len(found(path))
    assert 50 < kept < 500


async def test_a_failure_to_delete_loses_no_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prune(store: SqliteStore, before_ms: int, max_bytes: int) -> int:
        raise StoreError("unusable", "no")

    monkeypatch.setattr(SqliteStore, "prune", prune)
    async with recorded(path) as made:
        made.put(PLAIN)
        await until(lambda: made.report()["recorded"] == 1)
        assert made.report()["problem"] is None
    assert len(found(path)) == 1


# -- what is written -----------------------------------------------------------------------------------


async def test_secrets_are_taken_out_before_texts_are_cut(path: Path) -> None:
    secret = "canary-secret"
    row = failed(error="x" * 195 + secret, model=f"m-{secret}", agent=secret, session=f"s {secret}")
    async with recorded(path, masked=lambda text: text.replace(secret, "***")) as made:
        made.put(row)
    (kept,) = found(path)
    assert (kept.model, kept.agent, kept.session) == ("m-***", "***", "s ***")
    assert kept.error == "x" * 195 + "***"
    assert b"canary" not in path.read_bytes()


def test_a_row_that_no_database_would_take() -> None:
    odd = failed(error="\ud800" + "x" * 300, input_tokens=10**30, output_tokens=-1, stop_reason=None)
    kept = Cleaner().cleaned(odd)
    assert kept.error == "?" + "x" * 199
    assert (kept.input_tokens, kept.output_tokens, kept.stop_reason) == (None, None, None)
    assert Cleaner().cleaned(PLAIN) == PLAIN


def test_sqlite_is_not_imported_before_it_is_needed() -> None:
    # Where coverage is measured it imports SQLite itself.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    code = "import sys, ccr.store.recording, ccr.server.app; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode == 0


# -- folders of sessions -------------------------------------------------------------------------------


async def test_the_folder_of_a_session_counts_for_its_earlier_requests_too(
    path: Path, tmp_path: Path
) -> None:
    client = tmp_path / "projects"
    folder = client / "-home-me-work"
    folder.mkdir(parents=True)
    (client / "a file").touch()
    async with recorded(path, client_projects=client) as made:
        made.put(PLAIN)
        await until(lambda: made.report()["recorded"] == 1)
        assert found(path)[0].project is None
        (folder / f"{PLAIN.session}.jsonl").touch()
        made.put(PLAIN)
        made.put(PLAIN._replace(session=None))
        await until(lambda: made.report()["recorded"] == 3)
    assert [row.project for row in found(path)] == [None, "-home-me-work", "-home-me-work"]


def test_only_a_session_that_can_be_a_name_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "-p").mkdir()
    (tmp_path / "-p" / "s.jsonl").touch()
    projects = Projects(tmp_path)
    assert projects.project_of("s") == "-p"
    (tmp_path / "-p" / "s.jsonl").unlink()
    assert projects.project_of("s") == "-p", "it is remembered"
    assert projects.project_of("../-p/s") is None
    assert projects.project_of("t") is None
    assert Projects(tmp_path / "gone").project_of("s") is None
    assert Projects(None).project_of("s") is None


def test_not_all_sessions_are_remembered(tmp_path: Path) -> None:
    (tmp_path / "-p").mkdir()
    projects = Projects(tmp_path)
    for number in range(MAX_REMEMBERED + 1):
        (tmp_path / "-p" / f"s{number}.jsonl").touch()
        assert projects.project_of(f"s{number}") == "-p"
    assert len(projects._known) == MAX_REMEMBERED
