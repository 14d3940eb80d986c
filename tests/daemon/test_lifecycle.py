"""What happens to a running service: signals, kills, full disks, missing descriptors, odd homes, edits."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from ccr.config.paths import Paths
from ccr.daemon.process import is_alive
from tests.daemon.installation import CCR, PROVIDER, Installation
from tests.daemon.load import Client, Provider
from tests.daemon.test_restart import key_of, started
from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(waits=True)
    made.go_on.set()
    yield made
    made.close()


def get(installation: Installation, path: str) -> Any:
    address = urlsplit(installation.state()["address"])
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request("GET", path, headers={"x-api-key": key_of(installation)})
    values = json.loads(connection.getresponse().read())
    connection.close()
    return values


def answers(installation: Installation, times: int = 1) -> bool:
    client = Client(installation.state()["address"], key_of(installation), times=times)
    client.run()
    assert client.failures == []
    return client.answers == times


class TestStopping:
    @pytest.mark.fault("L106", outcome="all complete; new connections are refused; exit code 0")
    def test_streams_complete(self, installation: Installation, provider: Provider) -> None:
        provider.go_on.clear()
        installation.configure(Providers=[provider.settings])
        service = installation.popen("start", "--foreground")
        assert service.stdout is not None
        assert "is running" in service.stdout.readline()
        address = str(installation.state()["address"])
        clients = [Client(address, key_of(installation), times=1) for _ in range(20)]
        for client in clients:
            client.start()
        for _ in clients:
            assert provider.began.acquire(timeout=30)
        stopping = installation.popen("stop")
        until(lambda: is_refused(address))
        assert service.poll() is None
        provider.go_on.set()
        for client in clients:
            client.join(30)
        assert [(client.answers, client.failures) for client in clients] == [(1, [])] * 20
        assert service.wait(30) == 0
        assert stopping.wait(30) == 0
        service.communicate()
        stopping.communicate()

    @pytest.mark.fault("L107", outcome="streams end with `overloaded_error` and the process is gone")
    def test_a_second_signal_ends_at_once(self, installation: Installation, provider: Provider) -> None:
        provider.go_on.clear()
        address = started(installation, provider)
        pid = installation.state()["pid"]
        client = Client(address, key_of(installation), times=1)
        client.start()
        assert provider.began.acquire(timeout=30)
        os.kill(pid, signal.SIGTERM)
        until(lambda: is_refused(address))
        os.kill(pid, signal.SIGTERM)
        client.join(30)
        assert "overloaded_error" in client.failures[0]
        until(lambda: not is_alive(pid))


def is_refused(address: str) -> bool:
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestScarcity:
    @pytest.mark.fault("L114", outcome="requests are answered; lost log lines are counted and told later")
    def test_a_full_disk(self, installation: Installation, provider: Provider) -> None:
        started(installation, provider)
        pid = installation.state()["pid"]
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        assert answers(installation, 5)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        assert answers(installation)
        until(lambda: '"dropped_records"' in installation.paths.log_file.read_text())

    @pytest.mark.fault("L114", outcome="a configuration that cannot be written stays as it was: exit code 1")
    def test_a_configuration_that_cannot_be_written(self, installation: Installation) -> None:
        before = installation.paths.config_file.read_bytes()
        # Where coverage is measured it writes a file of its own at the end, and fails with a traceback.
        environ = {
            name: value for name, value in installation.environ().items() if not name.startswith("COVERAGE")
        }
        done = subprocess.run(
            ["bash", "-c", f"ulimit -f 0; exec {CCR} config set API_TIMEOUT_MS 5000"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert str(installation.paths.config_file) in done.stderr
        assert "Traceback" not in done.stderr
        assert installation.paths.config_file.read_bytes() == before
        assert [file.name for file in installation.paths.home.iterdir() if "config" in file.name] == [
            "config.json"
        ]

    @pytest.mark.fault("L114", outcome="a log folder that goes away is made again")
    def test_a_log_folder_that_goes_away(self, installation: Installation, provider: Provider) -> None:
        started(installation, provider)
        shutil.rmtree(installation.paths.log_dir)
        assert answers(installation, 2)
        until(installation.paths.log_file.exists)
        assert installation.paths.log_file.stat().st_mode & 0o777 == 0o600
        moved = installation.paths.log_file.with_suffix(".moved")
        installation.paths.log_file.rename(moved)
        assert answers(installation)
        until(installation.paths.log_file.exists)

    @pytest.mark.fault("L116", outcome="connections beyond the limit get 503; afterwards all is as before")
    def test_few_descriptors(self, installation: Installation, provider: Provider) -> None:
        installation.configure(Providers=[provider.settings])
        done = subprocess.run(
            ["bash", "-c", f"ulimit -n 64; exec {CCR} start"],
            env=installation.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        address = urlsplit(installation.state()["address"])
        many = [socket.create_connection((address.hostname, address.port), timeout=10) for _ in range(100)]
        refused = 0
        for connection in many:
            connection.settimeout(0.2)
            try:
                refused += b"503" in connection.recv(100)
            except TimeoutError:
                continue
        assert refused >= 80
        before = cpu_seconds(installation.state()["pid"])
        time.sleep(0.5)
        assert cpu_seconds(installation.state()["pid"]) - before < 0.3, "it does not spin"
        for connection in many:
            connection.close()
        until(lambda: get(installation, "/status").get("process", {}).get("connections") == 1)
        assert answers(installation, 3)

    @pytest.mark.fault("L115", outcome="files 0600, folders 0700")
    def test_any_umask(self, installation: Installation) -> None:
        done = subprocess.run(
            ["bash", "-c", f"umask 000; exec {CCR} start"],
            env=installation.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        installation.run("restart")
        home, person = installation.paths.home, installation.paths.home.parent / "person"
        person.mkdir(mode=0o700)
        installation.configure(PORT=28935)
        for words in (
            "config set LOG_LEVEL debug",
            "preset export mine",
            "preset install mine --yes",
            "connect --yes",
            "model add-provider two --url http://127.0.0.1:1/v1/chat/completions --key k --models m --yes",
            "env",
            "doctor --no-calls",
        ):
            subprocess.run(
                ["bash", "-c", f"umask 000; exec {CCR} {words}"],
                env=installation.environ(HOME=str(person)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=words.startswith("config"),
            )
        assert {".claude", "backups", "presets"} <= {
            path.name for path in [*home.rglob("*"), *person.rglob("*")]
        }
        places = [home, *home.rglob("*"), *person.rglob("*")]
        modes = {path: path.lstat().st_mode & 0o777 for path in places}
        wanted = {path: 0o700 if path.is_dir() else 0o600 for path in modes}
        assert modes == wanted


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TestHomes:
    @pytest.mark.fault("L117", outcome="a folder with any name works")
    @pytest.mark.parametrize(
        "name", [b"with space", "\u00e4\u4e2d".encode(), b"not-utf8-\xff", b"quote'\"$x"]
    )
    def test_odd_names(self, tmp_path: Path, name: bytes) -> None:
        installation = Installation(Paths(tmp_path / os.fsdecode(name)))
        installation.configure()
        try:
            done = installation.run("start")
            assert done.returncode == 0, done.stderr
            assert installation.run("restart").returncode == 0
            assert installation.status()["condition"] == "running"
        finally:
            assert installation.run("stop").returncode == 0

    @pytest.mark.fault("L117", outcome="a sentence with the path, exit code 1")
    def test_a_home_that_is_a_file(self, installation: Installation, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("")
        for home in (file, file / "below", Path("/proc/nowhere")):
            done = installation.run("start", CCR_HOME=str(home))
            assert done.returncode != 0
            assert "Traceback" not in done.stderr
            assert str(home) in done.stderr


class TestEditing:
    @pytest.mark.fault("L119", outcome="new requests get the edited configuration, without a restart")
    def test_an_edit_counts_without_a_restart(self, installation: Installation, provider: Provider) -> None:
        started(installation, provider)
        pid = installation.state()["pid"]
        second = {**PROVIDER, "name": "second", "models": ["n"], "api_key": "canary-second-key"}
        installation.configure(Providers=[provider.settings, second])
        until(lambda: "n" in [model["id"] for model in get(installation, "/v1/models")["data"]])
        assert installation.state()["pid"] == pid
        assert answers(installation)

    @pytest.mark.fault("L118", outcome="`ccr status` names the problems; the last good configuration serves")
    def test_a_bad_edit_is_shown(self, installation: Installation, provider: Provider) -> None:
        started(installation, provider)
        installation.configure(Providers=[provider.settings], LOG_LEVEL="canary")
        os.kill(installation.state()["pid"], signal.SIGHUP)
        until(lambda: bool(get(installation, "/status")["configuration"]["problems"]))
        shown = installation.run("status").stdout
        assert "goes on with the last good one" in shown
        assert "LOG_LEVEL" in shown
        assert answers(installation)
        installation.configure(Providers=[provider.settings], APIKEY="a-new-key-of-some-length")
        os.kill(installation.state()["pid"], signal.SIGHUP)
        until(lambda: get(installation, "/status")["configuration"]["restart_needed_for"] == ["APIKEY"])

    def test_the_level_of_the_log_changes(self, installation: Installation) -> None:
        installation.configure(LOG_LEVEL="error")
        installation.run("start")
        installation.configure(LOG_LEVEL="debug")
        until(lambda: get(installation, "/status")["configuration"]["generation"] == 2)
        get(installation, "/nothing")
        until(installation.paths.log_file.exists)
        until(lambda: '"refused"' in installation.paths.log_file.read_text())
