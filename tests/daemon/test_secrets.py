"""Known secrets, looked for in everything written, printed or answered; hostile folders and users."""

from __future__ import annotations

import base64
import http.client
import json
import os
import pwd
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from tests.daemon.installation import CCR, PROVIDER
from tests.daemon.load import BODY
from tests.daemon.test_restart import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.daemon.installation import Installation

SECRET = "canary/provider+key-ZX81QL770A"
REPEATS = (
    (401, "application/json", b'{"error_code":"401","message":"token %s is not valid"}'),
    (403, "application/json", b'{"message":"%s may not"}'),
    (400, "application/json", b'{"error":{"message":"what is %s?"}}'),
    (429, "application/json", b'{"message":"%s asks too much"}'),
    (500, "text/html", b"<html>Authorization: Bearer %s</html>"),
    (503, "text/plain", b"%s"),
    (200, "application/json", b'{"error":{"message":"%s"}}'),
    (200, "text/html", b"<html>sign in, %s</html>"),
    (200, "text/event-stream", b'data: {"error":{"message":"%s"}}\n\n'),
)


@pytest.fixture
def talkative() -> Iterator[str]:
    """A provider that repeats the key it was given, in every kind of error; give its URL."""
    number = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal number
            self.rfile.read(int(self.headers["content-length"]))
            status, kind, text = REPEATS[number % len(REPEATS)]
            number += 1
            body = text.replace(b"%s", self.headers["authorization"].removeprefix("Bearer ").encode())
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/serving-endpoints/m/invocations"
    server.shutdown()
    server.server_close()


def forms_of(secret: str) -> list[bytes]:
    return [
        secret.encode(),
        quote(secret, safe="").encode(),
        base64.b64encode(secret.encode()).rstrip(b"="),
        secret[:12].encode(),
    ]


def post(installation: Installation, body: bytes, path: str = "/v1/messages") -> bytes:
    address = urlsplit(installation.state()["address"])
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {"x-api-key": key_of(installation), "content-type": "application/json"}
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    said = str(response.headers).encode() + response.read()
    connection.close()
    return said


@pytest.mark.fault(
    "L122", outcome="no form of a secret in any answer, file or output, whatever the provider says"
)
def test_l122_a_provider_that_repeats_the_key(installation: Installation, talkative: str) -> None:
    provider = {**PROVIDER, "api_base_url": talkative, "api_key": SECRET}
    installation.configure(Providers=[provider], LOG_LEVEL="trace")
    outputs = [installation.run("start")]
    whole = BODY.replace(b'"stream": true', b'"stream": false')
    said = [
        post(installation, body, path)
        for body in (BODY, whole)
        for path in ("/v1/messages", "/v1/chat/completions")
        for _ in range(len(REPEATS) * 2)
    ]
    outputs += [installation.run(*words) for words in (["status", "--json"], ["logs"], ["config", "show"])]
    outputs += [installation.run("restart"), installation.run("stop")]
    said += [(done.stdout + done.stderr).encode() for done in outputs]
    files = [file for file in installation.paths.home.rglob("*") if file.is_file()]
    said += [file.read_bytes() for file in files if file.name != "config.json"]
    assert len(said) > 40
    found = [text for text in said for form in forms_of(SECRET) if form in text]
    assert found == []


@pytest.mark.fault("L123", outcome="the provider's key is in no environment and no argument of the client")
def test_l123_the_client_gets_the_local_key_only(installation: Installation, tmp_path: Path) -> None:
    installation.configure(Providers=[{**PROVIDER, "api_key": SECRET}])
    file = tmp_path / "claude"
    file.write_text(
        f"#!{sys.executable}\nfor name in ('environ', 'cmdline'):\n"
        "    print(open(f'/proc/self/{name}', 'rb').read())\n"
    )
    file.chmod(0o755)
    done = installation.run("code", CLAUDE_PATH=str(file))
    assert done.returncode == 0, done.stderr
    environment, arguments = done.stdout.splitlines()
    assert key_of(installation) in environment
    assert key_of(installation) not in arguments
    assert SECRET not in done.stdout


HOSTILE = {
    "config.json": json.dumps({"Providers": [], "HOST": "0.0.0.0", "APIKEY": "theirs" * 9}),  # noqa: S104 - never bound
    ".claude-code-router/config.json": json.dumps({"Providers": [], "PORT": 1, "APIKEY": "theirs" * 9}),
    ".claude-code-router/.key": "theirs" * 9,
    ".env": "CCR_HOME=/nowhere\nSERVICE_PORT=1\nANTHROPIC_AUTH_TOKEN=theirs\n",
    ".netrc": "machine 127.0.0.1 login theirs password theirs\n",
    ".databrickscfg": "[DEFAULT]\nhost = https://theirs.test\ntoken = theirs\n",
    "databricks.yml": "workspace:\n  host: https://theirs.test\n",
    ".npmrc": "prefix=/nowhere\n",
    "package.json": '{"type": "module", "main": "theirs.js"}',
    **{
        f"{name}.py": "raise SystemExit('code of the repository was run')\n"
        for name in ("sitecustomize", "usercustomize", "json", "ccr", "aiohttp", "click", "ssl", "runpy")
    },
}
"""What a cloned repository may hold."""


def test_a_hostile_folder_is_not_read(installation: Installation, tmp_path: Path) -> None:
    """Every command does the same with the person standing in it."""
    folder = tmp_path / "repository"
    for name, text in HOSTILE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "body.json").write_bytes(BODY)
    claude = tmp_path / "claude"
    claude.write_text("#!/bin/sh\nenv\npwd\n")
    claude.chmod(0o755)
    environ = installation.environ(CLAUDE_PATH=str(claude), HOME=str(tmp_path))
    said = {}
    for words in (
        ["start"],
        ["restart"],
        ["status", "--json"],
        ["code"],
        ["env"],
        ["config", "path"],
        ["config", "check"],
        ["config", "show"],
        ["route", "explain", str(tmp_path / "body.json")],
        ["model", "--list"],
        ["preset", "list"],
        ["statusline"],
        ["logs"],
        ["doctor"],
        ["stop"],
    ):
        done = subprocess.run(
            [str(CCR), *words],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said[words[0]] = done.stdout
        assert done.returncode == 0 or words[0] in ("doctor", "statusline"), f"{words}: {done.stderr}"
        for hostile in ("repository was run", "theirs"):
            assert hostile not in done.stdout + done.stderr, words
    assert f"ANTHROPIC_AUTH_TOKEN={key_of(installation)}" in said["code"]
    assert said["code"].splitlines()[-1] == str(folder)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(
        HOSTILE
    )


@pytest.mark.fault("A22", outcome="EACCES for every file; the socket cannot be reached; without the key 403")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a22_another_user(installation: Installation) -> None:
    assert installation.run("start").returncode == 0
    installation.paths.home.parent.chmod(0o755)
    for folder in installation.paths.home.parents:
        if "pytest-" in str(folder):
            folder.chmod(folder.stat().st_mode | 0o055)
    names = [path.name for path in installation.paths.home.iterdir()]
    assert {".key", "config.json", ".lock", "service.json", "logs", ".handover"} <= set(names)
    address = urlsplit(installation.state()["address"])
    program = (
        "import encodings.idna, http.client, json, os, socket, sys\n"
        f"home, names, port = {str(installation.paths.home)!r}, {names!r}, {address.port}\n"
        "os.setgid(65534); os.setuid(int(sys.argv[1]))\n"
        "out = {}\n"
        "for name in names:\n"
        "    try: open(f'{home}/{name}').read(); out[name] = 'read'\n"
        "    except OSError as error: out[name] = type(error).__name__\n"
        "try: socket.socket(socket.AF_UNIX).connect(f'{home}/.handover'); out['socket'] = 'connected'\n"
        "except OSError as error: out['socket'] = type(error).__name__\n"
        "connection = http.client.HTTPConnection('127.0.0.1', port)\n"
        "connection.request('GET', '/status'); out['status'] = connection.getresponse().status\n"
        "print(json.dumps(out))\n"
    )
    nobody = pwd.getpwnam("nobody").pw_uid
    done = subprocess.run(
        [sys.executable, "-c", program, str(nobody)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = json.loads(done.stdout)
    assert out.pop("status") == 403
    assert set(out.values()) == {"PermissionError"}


@pytest.mark.fault("A6", outcome="a random key is made, and needed")
def test_a6_an_empty_key_is_no_open_door(installation: Installation) -> None:
    installation.configure(APIKEY="")
    installation.run("start")
    address = urlsplit(installation.state()["address"])
    assert len(key_of(installation)) >= 43
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer "}):
        connection.request("GET", "/status", headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 403
    connection.close()


@pytest.mark.fault("A24", outcome="nothing starts; the sentence names ALLOW_REMOTE and the length of the key")
def test_a24_other_machines_only_when_asked_for(installation: Installation) -> None:
    anywhere = "0.0.0.0"  # noqa: S104 - refused
    for changes, said in (
        ({"HOST": anywhere, "ALLOW_REMOTE": True}, "at least 24 characters"),
        ({"HOST": anywhere, "APIKEY": "k" * 24}, "ALLOW_REMOTE"),
        ({"HOST": anywhere, "APIKEY": "short", "ALLOW_REMOTE": True}, "at least 24 characters"),
    ):
        installation.configure(**changes)
        done = installation.run("start")
        assert done.returncode == 1
        assert said in done.stderr
    assert not installation.paths.state_file.exists()
