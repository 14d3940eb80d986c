"""A service takes over what workspaces were found to serve, without a restart."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING

from ccr.upstream.discovered import write_discovered
from ccr.upstream.discovery import ServedModel

if TYPE_CHECKING:
    from tests.daemon.installation import Installation

KEY = "a-key-for-the-list-of-models"
WORKSPACE = "https://adb-1.azuredatabricks.net"
DEADLINE_S = 20.0


def listed(installation: Installation) -> list[str]:
    address = installation.state()["address"]
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/v1/models", headers={"x-api-key": KEY})
        return [model["id"] for model in json.load(connection.getresponse())["data"]]


def remember(installation: Installation, *names: str) -> None:
    models = tuple(ServedModel(name=name, task="llm/v1/chat") for name in names)
    write_discovered(installation.paths, WORKSPACE, models, at=time.time())


def test_models_that_are_found_are_served_at_once(installation: Installation) -> None:
    installation.configure(APIKEY=KEY)
    remember(installation, "m", "first")
    started = installation.run("start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert listed(installation) == ["m", "first"]
    remember(installation, "first", "second")
    ends_at = time.monotonic() + DEADLINE_S
    while listed(installation) != ["m", "first", "second"]:
        assert time.monotonic() < ends_at, listed(installation)
        time.sleep(0.05)
    log = (installation.paths.log_dir / "ccr.log").read_text()
    assert '"level":"error"' not in log.lower()
