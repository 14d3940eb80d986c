"""What a running service keeps of its requests: all of them, whatever happens to it, in nobody's way."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.keys import local_key
from ccr.config.load import load_config
from ccr.daemon.control import ask_to_reload
from ccr.daemon.process import is_alive
from ccr.store.read import open_read_only, recent_requests
from tests.daemon.load import Client, Provider
from tests.daemon.test_restart import key_of, started
from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccr.store.records import RequestRow
    from tests.daemon.installation import Installation


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(pause_s=0.002)
    yield made
    made.close()


def ask(installation: Installation, times: int = 1) -> None:
    client = Client(installation.state()["address"], key_of(installation), times=times)
    client.run()
    assert (client.answers, client.failures) == (times, [])


def kept(installation: Installation) -> list[RequestRow]:
    with open_read_only(installation.paths.usage_file) as reader:
        return recent_requests(reader, limit=1_000_000)


def stop(installation: Installation) -> None:
    done = installation.run("stop")
    assert done.returncode == 0, done.stderr


def usage_of_service(installation: Installation) -> dict[str, Any]:
    counts = installation.status()["counts"]["process"]["usage"]
    return dict(counts)


def reconfigure(installation: Installation, provider: Provider, **changes: Any) -> None:
    before = generation(installation)
    installation.configure(Providers=[provider.settings], **changes)
    config = load_config(installation.paths, {})
    assert ask_to_reload(installation.paths, local_key(installation.paths, config))
    until(lambda: generation(installation) > before)


def generation(installation: Installation) -> int:
    return int(installation.status()["counts"]["configuration"]["generation"])


def test_every_request_is_kept_and_nothing_that_was_said(
    installation: Installation, provider: Provider
) -> None:
    started(installation, provider)
    ask(installation, 3)
    until(installation.paths.usage_file.exists)
    stop(installation)
    rows = kept(installation)
    assert [(row.outcome, row.provider, row.upstream_model, row.stop_reason) for row in rows] == [
        ("ok", "databricks", "m", "end_turn")
    ] * 3
    assert {row.output_tokens for row in rows} == {None}, "the provider reports none"
    file = installation.paths.usage_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    data = file.read_bytes()
    assert b"word0" not in data
    assert b'"hi"' not in data
    document = json.loads(installation.run("usage", "--json").stdout)
    assert (document["total"]["requests"], document["total"]["without_usage"]) == (3, 3)


def test_restarts_under_load_lose_no_request(installation: Installation, provider: Provider) -> None:
    address = started(installation, provider)
    clients = [Client(address, key_of(installation)) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(3):
        assert installation.run("restart").returncode == 0
    for client in clients:
        client.stopped.set()
    for client in clients:
        client.join(30)
    assert [client.failures for client in clients] == [[]] * 4
    stop(installation)
    until(lambda: len(kept(installation)) == sum(client.answers for client in clients))


def test_a_killed_service_leaves_a_sound_database(installation: Installation, provider: Provider) -> None:
    before = 0
    for _ in range(3):
        address = started(installation, provider)
        pid = installation.state()["pid"]
        clients = [Client(address, key_of(installation)) for _ in range(4)]
        for client in clients:
            client.start()
        until(lambda so_far=before: installation.paths.usage_file.exists() and _count(installation) > so_far)  # type: ignore[misc] # bound at once
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: not is_alive(gone))  # type: ignore[misc] # as above
        for client in clients:
            client.stopped.set()
            client.join(30)
        before = len(kept(installation))
    started(installation, provider)
    ask(installation)
    stop(installation)
    assert len(kept(installation)) == before + 1
    with closing(sqlite3.connect(installation.paths.usage_file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _count(installation: Installation) -> int:
    with closing(sqlite3.connect(f"file:{installation.paths.usage_file}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM requests").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # its tables are being made


def test_a_full_disk_hinders_no_request_and_loses_none(
    installation: Installation, provider: Provider
) -> None:
    started(installation, provider)
    pid = installation.state()["pid"]
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    ask(installation, 5)
    until(lambda: usage_of_service(installation)["problem"] is not None)
    ask(installation, 5)
    shown = installation.run("status").stdout
    assert "Requests are not recorded for `ccr usage`: " in shown
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    stop(installation)
    assert len(kept(installation)) == 10


def test_a_database_that_cannot_be_one(installation: Installation, provider: Provider) -> None:
    installation.paths.usage_file.mkdir()
    started(installation, provider)
    ask(installation, 3)
    until(lambda: usage_of_service(installation)["problem"] is not None)
    assert usage_of_service(installation)["waiting"] == 3
    stop(installation)
    log = installation.paths.log_file.read_text()
    assert "requests are not recorded for the moment" in log
    assert "3 requests were not recorded" in log


def test_a_damaged_database_is_set_aside(installation: Installation, provider: Provider) -> None:
    installation.paths.usage_file.write_bytes(b"nonsense" * 1000)
    started(installation, provider)
    ask(installation)
    stop(installation)
    assert len(kept(installation)) == 1
    assert installation.paths.usage_file.with_name("usage.sqlite.broken").read_bytes() == b"nonsense" * 1000
    assert "usage.sqlite.broken" in installation.paths.log_file.read_text()


def test_a_newer_database_is_left_alone(installation: Installation, provider: Provider) -> None:
    file = installation.paths.usage_file
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    started(installation, provider)
    ask(installation)
    until(lambda: "made by a newer ccr" in str(usage_of_service(installation)["problem"]))
    stop(installation)
    assert file.read_bytes() == before


def test_nothing_is_kept_where_usage_is_false_and_an_edit_counts_at_once(
    installation: Installation, provider: Provider
) -> None:
    installation.configure(Providers=[provider.settings], USAGE=False)
    assert installation.run("start").returncode == 0
    ask(installation)
    reconfigure(installation, provider, USAGE=True)
    ask(installation, 2)
    reconfigure(installation, provider, USAGE=False)
    ask(installation)
    stop(installation)
    assert len(kept(installation)) == 2
