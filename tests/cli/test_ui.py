"""``ccr ui`` before its pages: what it prints, when it opens a browser. And the service, which has none."""

from __future__ import annotations

import http.client
import signal
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ccr.cli.ui import can_open

if TYPE_CHECKING:
    from tests.daemon.installation import Installation


@pytest.mark.parametrize(
    ("environ", "platform", "is_possible"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "w3m"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_when_a_browser_is_opened(environ: dict[str, str], platform: str, is_possible: bool) -> None:
    assert can_open(environ, platform) is is_possible


def lines_until_ended(installation: Installation, *arguments: str, **environ: str) -> list[str]:
    process = installation.popen("ui", *arguments, PYTHONUNBUFFERED="1", **environ)
    assert process.stdout is not None
    first = process.stdout.readline()
    cmdline = subprocess.run(
        ["ps", "-o", "args=", str(process.pid)], capture_output=True, text=True, check=True
    )
    assert first.split("#key=")[1].strip() not in cmdline.stdout
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(30)) == ("", 0)
    process.stdout.close()
    process.stderr.close()
    return [first.strip(), *rest.splitlines()]


def test_what_it_prints(installation: Installation) -> None:
    nowhere = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION"), "")
    first, second = lines_until_ended(installation, **nowhere)
    assert first.startswith("ccr ui: http://127.0.0.1:")
    assert "Ctrl-C ends them" in second
    *_, last = lines_until_ended(installation, "--no-open", SSH_CONNECTION="10.0.0.1 1 10.0.0.2 22")
    assert "ssh -L " in last


def test_without_a_configuration_none_is_made(installation: Installation) -> None:
    installation.paths.config_file.unlink()
    assert len(lines_until_ended(installation, "--no-open")) == 2
    assert not installation.paths.config_file.exists()


def test_the_service_has_no_page_and_says_where_they_are(installation: Installation) -> None:
    assert installation.run("start").returncode == 0
    address = urlsplit(installation.state()["address"])
    for path in ("/ui", "/ui/"):
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 404
        assert answer.headers["content-type"] == "application/json"
        assert b"`ccr ui` opens the pages of ccr" in answer.read()
        connection.close()
