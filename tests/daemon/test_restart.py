"""``ccr restart``: another process serves, and no client notices."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from ccr.config.paths import Paths
from ccr.daemon.handover import take_over
from ccr.daemon.process import is_alive
from tests.daemon.installation import Installation
from tests.daemon.load import Client, Provider
from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def waiting_provider() -> Iterator[Provider]:
    made = Provider(waits=True)
    yield made
    made.close()


def key_of(installation: Installation) -> str:
    return installation.paths.key_file.read_text().strip()


def started(installation: Installation, provider: Provider) -> str:
    installation.configure(Providers=[provider.settings])
    done = installation.run("start")
    assert done.returncode == 0, done.stderr
    return str(installation.state()["address"])


@pytest.mark.fault("L108", outcome="ten restarts under load: no failed request, no refused connection")
def test_l108_restarts_under_load_lose_nothing(installation: Installation, provider: Provider) -> None:
    address = started(installation, provider)
    clients = [Client(address, key_of(installation)) for _ in range(8)]
    for client in clients:
        client.start()
    pids = [installation.state()["pid"]]
    for _ in range(10):
        done = installation.run("restart")
        assert done.returncode == 0, done.stderr
        pids.append(installation.state()["pid"])
    for client in clients:
        client.stopped.set()
    for client in clients:
        client.join(30)
    assert [client.failures for client in clients] == [[]] * 8
    assert all(client.answers for client in clients)
    assert len(set(pids)) == 11, "each restart is a new process"
    assert installation.state()["address"] == address
    until(lambda: not any(is_alive(pid) for pid in pids[:-1]))


def test_a_running_stream_ends_in_the_old_process(
    installation: Installation, waiting_provider: Provider
) -> None:
    address = started(installation, waiting_provider)
    old = installation.state()["pid"]
    client = Client(address, key_of(installation), times=1)
    client.start()
    assert waiting_provider.began.acquire(timeout=30)
    done = installation.run("restart")
    assert done.returncode == 0
    assert done.stderr == f"process {old} finishes its running requests\n"
    new = installation.state()["pid"]
    assert done.stdout == f"ccr is running at {address} (process {new})\n"
    assert is_alive(old)
    assert installation.status()["condition"] == "running"
    waiting_provider.go_on.set()
    client.join(30)
    assert (client.answers, client.failures) == (1, [])
    until(lambda: not is_alive(old))
    assert installation.state()["pid"] == new, "the old process leaves the new one's record alone"
    assert installation.paths.handover_file.is_socket()


def test_restart_now_cuts_what_is_running(installation: Installation, waiting_provider: Provider) -> None:
    address = started(installation, waiting_provider)
    old = installation.state()["pid"]
    client = Client(address, key_of(installation), times=1)
    client.start()
    assert waiting_provider.began.acquire(timeout=30)
    assert installation.run("restart", "--now").returncode == 0
    client.join(30)
    (failure,) = client.failures
    assert "overloaded_error" in failure
    until(lambda: not is_alive(old))


def test_when_the_new_process_dies_the_old_one_goes_on(
    installation: Installation, provider: Provider
) -> None:
    address = started(installation, provider)
    state = installation.state()
    failed = installation.run("restart", **installation.with_server("raise RuntimeError('too early')\n"))
    assert failed.returncode == 1
    assert "the running service goes on" in failed.stderr.lower()
    assert "too early" in failed.stderr
    until(lambda: installation.status()["condition"] == "running")
    assert installation.state()["pid"] == state["pid"]
    client = Client(address, key_of(installation), times=3)
    client.run()
    assert client.answers == 3
    assert installation.run("restart").returncode == 0, "the next attempt succeeds"
    assert installation.state()["pid"] != state["pid"]


def test_another_port_stops_the_old_process_first(installation: Installation) -> None:
    installation.run("start")
    old = installation.state()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    installation.configure(PORT=port)
    done = installation.run("restart")
    assert done.returncode == 0, done.stderr
    assert f"stopping process {old['pid']}" in done.stderr
    assert installation.state()["address"].endswith(f":{port}")


def test_another_host_stops_the_old_process_first(installation: Installation) -> None:
    installation.run("start")
    old = installation.state()["pid"]
    installation.configure(HOST="127.0.0.2")
    done = installation.run("restart")
    assert done.returncode == 0, done.stderr
    assert "127.0.0.2" in installation.state()["address"]
    until(lambda: not is_alive(old))


def test_restart_starts_what_is_stopped(installation: Installation) -> None:
    done = installation.run("restart")
    assert (done.returncode, done.stderr) == (0, "")
    assert installation.status()["running"]


def test_a_service_that_hangs_is_stopped_first(installation: Installation) -> None:
    installation.run("start")
    pid = installation.state()["pid"]
    os.kill(pid, signal.SIGSTOP)
    done = installation.run("restart", "--now")
    assert done.returncode == 0, done.stderr
    assert not is_alive(pid)
    assert installation.status()["condition"] == "running"


def test_a_home_with_a_long_path(tmp_path: Path, provider: Provider) -> None:
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    installation = Installation(Paths(folder / "home"))
    started(installation, provider)
    old = installation.state()["pid"]
    try:
        assert "finishes its running" in installation.run("restart").stderr
        assert installation.state()["pid"] != old
    finally:
        installation.run("stop", "--now")


class TestTakingOver:
    def test_nobody_is_there(self, tmp_path: Path) -> None:
        paths = Paths(tmp_path)
        assert take_over(paths) is None
        paths.handover_file.write_text("no socket")
        assert take_over(paths) is None

    def test_somebody_who_hands_nothing_over(self, installation: Installation) -> None:
        paths = installation.paths
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.bind(str(paths.handover_file))
            stranger.listen()
            import threading

            def answer() -> None:
                connection, _ = stranger.accept()
                with connection:
                    connection.sendall(json.dumps({}).encode())

            thread = threading.Thread(target=answer)
            thread.start()
            assert take_over(paths) is None
            thread.join(10)

    def test_who_leaves_early_takes_nothing(self, installation: Installation) -> None:
        installation.run("start")
        state = installation.state()
        for _ in range(2):
            taken = take_over(installation.paths)
            assert taken is not None
            taken.close()
            os.close(taken.lock)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.connect(str(installation.paths.handover_file))
            other.sendall(b"nonsense")
            assert other.recv(1) == b""
        assert installation.status()["condition"] == "running"
        until(lambda: installation.state()["pid"] == state["pid"])
        assert installation.run("restart").returncode == 0

    def test_only_its_owner_reaches_the_socket(self, installation: Installation) -> None:
        installation.run("start")
        assert installation.paths.handover_file.lstat().st_mode & 0o777 == 0o600
        assert installation.run("stop").returncode == 0
        assert not installation.paths.handover_file.exists()
