"""SIGKILL at any moment of starting, serving, restarting and writing: the next start is clean."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon.process import is_alive
from ccr.daemon.state import read_state
from tests.daemon.installation import Installation
from tests.daemon.load import Client, Provider
from tests.daemon.nursery import Nursery
from tests.daemon.test_restart import key_of, started
from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

HOMES = 4
SERVING, WRITING = 36, 10
"""Kills in each home; with those of the commands, which begin an interpreter each, they are 200."""
STARTS, RESTARTS = 10, 6


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(pause_s=0.005)
    yield made
    made.close()


def answers(installation: Installation) -> bool:
    client = Client(installation.state()["address"], key_of(installation), times=1)
    client.run()
    assert client.failures == []
    return client.answers == 1


def is_serving(installation: Installation, pid: int) -> bool:
    state = read_state(installation.paths)
    return state is not None and state.pid == pid


def is_replaced(path: Path, inode: int) -> bool:
    return path.stat().st_ino != inode


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))


class Asking(threading.Thread):
    """Asks whoever serves, so that requests are in the air when it is killed; what fails is no matter."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self._installation = installation

    def run(self) -> None:
        while not self.stopped.wait(0.005):
            state = read_state(self._installation.paths)
            if state is not None and self._installation.paths.key_file.exists():
                Client(state.address, key_of(self._installation), times=1).run()


def killed_while_serving(nursery: Nursery, lock: threading.Lock, home: Path, provider: Provider) -> int:
    """Begin and kill a service again and again; return how often it had come to serve."""
    chance = random.Random(str(home))  # noqa: S311 - when to kill is no secret
    installation = Installation(Paths(home))
    installation.configure(Providers=[provider.settings])
    written = installation.paths.config_file.read_bytes()
    asking = Asking(installation)
    asking.start()
    keys, served = set(), 0
    for number in range(SERVING):
        with lock:
            pid = nursery.begin(installation, "serve")
        if number % 6 == 5:
            until(partial(is_serving, installation, pid))
            assert answers(installation)
        time.sleep(chance.uniform(0.0, 0.15))
        served += is_serving(installation, pid)
        kill(pid)
        assert installation.paths.config_file.read_bytes() == written
        if installation.paths.key_file.exists():
            keys.add(key_of(installation))
    asking.stopped.set()
    asking.join(30)
    assert len(keys) == 1
    assert (home / "said").read_text() == "", "no start failed, nothing unexpected was printed"
    return served


def killed_while_writing(nursery: Nursery, lock: threading.Lock, home: Path) -> set[int]:
    """Kill a process that writes the configuration; return which of them were found in the file."""
    chance = random.Random(str(home))  # noqa: S311 - as above
    installation = Installation(Paths(home))
    installation.configure(API_TIMEOUT_MS=1000)
    found = set()
    for _ in range(WRITING):
        before = installation.paths.config_file.stat().st_ino
        with lock:
            pid = nursery.begin(installation, "write")
        until(partial(is_replaced, installation.paths.config_file, before))
        time.sleep(chance.uniform(0.0, 0.05))
        kill(pid)
        found.add(round(load_config(installation.paths, {}).api_timeout_s * 1000))
        assert installation.paths.config_file.stat().st_mode & 0o777 == 0o600
    for backup in home.glob("config.json.bak-*[0-9]"):
        json.loads(backup.read_bytes())
    assert (home / "said").read_text() == ""
    return found


@pytest.mark.fault(
    "L109", outcome="200 kills, 144 while starting or serving with requests in the air: the next one starts"
)
def test_serving(tmp_path: Path, provider: Provider) -> None:
    lock = threading.Lock()
    with Nursery() as nursery, ThreadPoolExecutor(HOMES) as pool:
        homes = [tmp_path / f"home{number}" for number in range(HOMES)]
        done = [pool.submit(killed_while_serving, nursery, lock, home, provider) for home in homes]
        served = [each.result() for each in done]
    assert all(count >= SERVING // 6 for count in served)
    assert sum(served) < HOMES * SERVING, "some were killed before they served"
    for home in homes:
        installation = Installation(Paths(home))
        try:
            assert installation.run("start").returncode == 0
            assert answers(installation)
        finally:
            installation.run("stop", "--now")


@pytest.mark.fault("L109", outcome="40 while the configuration is changed: it is the old or the new one")
def test_writing(tmp_path: Path) -> None:
    lock = threading.Lock()
    with Nursery() as nursery, ThreadPoolExecutor(HOMES) as pool:
        homes = [tmp_path / f"home{number}" for number in range(HOMES)]
        done = [pool.submit(killed_while_writing, nursery, lock, home) for home in homes]
        found = [each.result() for each in done]
    assert [len(timeouts) for timeouts in found] == [WRITING] * HOMES, "it was written between all kills"


@pytest.mark.fault(
    "L109", outcome="16 in the middle of `ccr start` and `ccr restart`: the next start is clean"
)
def test_starting(installation: Installation, provider: Provider) -> None:
    chance = random.Random(1)  # noqa: S311 - as above
    installation.configure(Providers=[provider.settings])
    written = installation.paths.config_file.read_bytes()
    for _ in range(STARTS):
        starting = installation.popen("start")
        time.sleep(chance.uniform(0.0, 0.9))
        for pid in daemons_of(installation):
            os.kill(pid, signal.SIGKILL)
        starting.communicate(timeout=60)
    for pid in daemons_of(installation):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not daemons_of(installation))
    done = installation.run("start")
    assert done.returncode == 0, done.stderr
    assert answers(installation)
    assert installation.paths.config_file.read_bytes() == written


@pytest.mark.fault(
    "L109", outcome="16 in the middle of `ccr start` and `ccr restart`: the next start is clean"
)
def test_restarting(installation: Installation, provider: Provider) -> None:
    chance = random.Random(2)  # noqa: S311 - as above
    started(installation, provider)
    for _ in range(RESTARTS):
        restarting = installation.popen("restart")
        time.sleep(chance.uniform(0.1, 0.9))
        newest = max(daemons_of(installation), default=None)
        if newest is not None:
            os.kill(newest, signal.SIGKILL)
        restarting.communicate(timeout=60)
        done = installation.run("start")
        assert done.returncode == 0, done.stderr
        assert answers(installation)


def test_there_are_two_hundred() -> None:
    assert HOMES * (SERVING + WRITING) + STARTS + RESTARTS == 200


def daemons_of(installation: Installation) -> list[int]:
    """Return the serving and starting processes of an installation."""
    wanted = f"CCR_HOME={installation.paths.home}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                is_daemon = b"ccr.daemon" in (process / "cmdline").read_bytes()
                if is_daemon and wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue
    return found
