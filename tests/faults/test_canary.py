"""Known secrets through every path on which something fails, then a search of all that was written."""

from __future__ import annotations

import base64
import contextlib
import html
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from ccr.config.paths import Paths
from tests.daemon.installation import CCR, Installation
from tests.daemon.waiting import until
from tests.faults.echoing import ANSWERS, OAUTH_TOKENS, echoing

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCAL_KEY = "canary+local/key-Q7x0qkR2mVtB9"
SECRETS = {
    "local key": LOCAL_KEY,
    "api key": "canary+api/key-W1cY4nTz8sLd",
    "second api key": "canary+second/key-E5gH7jPo3aXe",
    "client secret": "canary+client/secret-R9bN2mUi6dFq",
    "oauth token": OAUTH_TOKENS,
    "proxy password": "canary+proxy/password-T3vC8xYu1gSw",
    "user token": "canary+user/token-Y6zA0lOp5hKr",
    "key of the environment": "canary+environment/key-U4wQ9eMi2jDv",
    "key of a tokenizer": "canary+tokenizer/key-B2nH6yGt4vKc",
    "header of a tokenizer": "canary+tokenizer/header-M7pQ3zWx9sRd",
    "token of a webhook": "canary+webhook/token-F1jL5uNe8aYb",
    "path of a webhook": "canary+webhook/path-G4hT9oVi2cXm",
    "quoted key": 'canary"quoted\\\\key<-J8fS5kPz1bRt',
}
NO_COMMAND = re.compile(
    rb"No such (?:command|option)|There is no command|Missing argument|unexpected extra argument"
)
"""What is said to a command that does not exist: nothing would be proven by it."""
FIRST_CHARS = 12
MODELS = [f"m{number}" for number in range(90)]
"""Enough for a model of its own for every request: a breaker that opens would spare it all that follows."""
CLIENT_ID = "11111111-aaaa-bbbb-cccc-000000000001"
PLUGIN_JS = """
module.exports = class {
  name = "talking";
  constructor(options) { this.options = options; }
  async transformRequestIn(request, provider) {
    if (this.options.how === "log") {
      if (this.logger) this.logger.info("log " + provider.apiKey);
      console.log(provider.apiKey);
      console.error(JSON.stringify(provider));
      return request;
    }
    throw new Error(`throw ${provider.apiKey} ${JSON.stringify(provider)}`);
  }
};
"""
PLUGIN_PY = """
from ccr import Transformer


class Failing(Transformer):
    name = "failing"

    def target(self, target, context):
        raise ValueError(f"{target} {context} {open(%r).read()}")
"""
ROUTER_PY = """
def route(request, config):
    print(config)
    if "raise" in str(request.get("body", request)):
        raise ValueError(str(config))
    return None
"""
CLAUDE = """#!{python}
import os
print("ENVIRON", sorted(os.environ.items()))
print("CMDLINE", open("/proc/self/cmdline", "rb").read())
print("PARENT", open(f"/proc/{{os.getppid()}}/cmdline", "rb").read())
"""


class Place:
    """An installation in which everything repeats secrets, and all that it said so far."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.installation = Installation(Paths(folder / "home"))
        self.base = f"http://127.0.0.1:{port}"
        self.said: list[tuple[str, bytes]] = []
        for name in ("temp", "person"):
            (folder / name).mkdir()

    def values(self, **changes: Any) -> dict[str, Any]:
        plugins = self.installation.paths.home / "plugins"
        invocations = f"{self.base}/serving-endpoints/m/invocations"
        proxy = f"http://me:{quote(SECRETS['proxy password'], safe='')}@{self.base.removeprefix('http://')}"

        def provider(name: str, url: str = invocations, **more: Any) -> dict[str, Any]:
            return {"name": name, "api_base_url": url, "models": MODELS, **more}

        key, client_secret = {"api_key": SECRETS["api key"]}, SECRETS["client secret"]
        tokenizer = {
            "type": "api",
            "url": invocations,
            "apiKey": SECRETS["key of a tokenizer"],
            "headers": {"X-Team": SECRETS["header of a tokenizer"]},
        }
        webhook = {
            "type": "webhook",
            "config": {
                "url": f"{self.base}/{SECRETS['path of a webhook']}",
                "auth": {"type": "bearer", "token": SECRETS["token of a webhook"]},
                "retry": {"backoffMs": 0},
            },
        }
        return {
            "PORT": 0,
            "LOG_LEVEL": "trace",
            "APIKEY": LOCAL_KEY,
            "CUSTOM_ROUTER_PATH": str(plugins / "router.py"),
            "transformers": [
                {"path": str(plugins / "talking.js"), "options": {}},
                {"path": str(plugins / "failing.py")},
            ],
            "Providers": [
                provider("plain", **key, api_keys=[SECRETS["second api key"]]),
                provider("native", f"{self.base}/v1/messages", **key, api="anthropic"),
                provider("signed", host=self.base, client_id=CLIENT_ID, client_secret=client_secret),
                provider("proxied", "https://far.test/chat/completions", **key, proxy=proxy),
                provider("users", host=self.base, auth_type="on-behalf-of-user"),
                provider("environment", api_key="$CANARY_KEY"),
                provider("quoted", api_key=SECRETS["quoted key"]),
                provider("throwing", **key, transformer={"use": ["talking"]}),
                provider("logging", **key, transformer={"use": [["talking", {"how": "log"}]]}),
                provider("failing", **key, transformer={"use": ["failing"]}),
                provider("counting", **key, tokenizer=tokenizer),
            ],
            "plugins": [
                {"name": "token-speed", "enabled": True, "options": {"outputHandlers": ["console", webhook]}}
            ],
            "Router": {"default": "plain,m0", "longContext": ["plain,m0", "native,m0", "signed,m0"]},
            **changes,
        }

    def configure(self, **changes: Any) -> None:
        home = self.installation.paths.home
        plugins = home / "plugins"
        plugins.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        sources = {
            "talking.js": PLUGIN_JS,
            "failing.py": PLUGIN_PY % str(home / "config.json"),
            "router.py": ROUTER_PY,
        }
        for name, source in sources.items():
            (plugins / name).write_text(source)
            (plugins / name).chmod(0o600)
        self.write(json.dumps(self.values(**changes)))

    def write(self, text: str) -> None:
        self.installation.paths.config_file.write_text(text)
        self.installation.paths.config_file.chmod(0o600)

    def environ(self, **extra: str) -> dict[str, str]:
        return self.installation.environ(
            CANARY_KEY=SECRETS["key of the environment"],
            HOME=str(self.folder / "person"),
            TMPDIR=str(self.folder / "temp"),
            **extra,
        )

    def run(
        self, *words: str, is_local_key_told: bool = False, given: bytes = b"", **extra: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command; what it prints is said. given: its stdin."""
        done = subprocess.run(
            [str(CCR), *words],
            env=self.environ(**extra),
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )
        is_odd = NO_COMMAND.search(done.stderr) is not None
        assert is_odd is (words == ("nonsense",)), f"ccr {' '.join(words)}: {done.stderr!r}"
        told = done.stdout + done.stderr
        if is_local_key_told:
            told = told.replace(LOCAL_KEY.encode(), b"").replace(quote(LOCAL_KEY).encode(), b"")
        self.said.append((f"ccr {' '.join(words)}", told))
        return done

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """Ask the service; what it answers is said."""
        address = urlsplit(self.installation.state()["address"])
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        headers = {"x-api-key": LOCAL_KEY, "content-type": "application/json", **headers}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        self.said.append((f"{method} {path} {body[:60]!r}", str(response.headers).encode() + response.read()))
        connection.close()

    def processes(self) -> Iterator[int]:
        """Give the processes of the service and its children."""
        first = self.installation.state()["pid"]
        yield first
        for children in Path(f"/proc/{first}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                yield from map(int, children.read_text().split())

    def look_at_processes(self) -> None:
        """Take in arguments and environments of the service and of Node: nobody put secrets there."""
        pids = list(self.processes())
        assert len(pids) > 1, "Node runs, for the plugins"
        from_outside = b"CANARY_KEY=%b" % SECRETS["key of the environment"].encode()
        for pid in pids:
            self.said.append((f"cmdline of {pid}", Path(f"/proc/{pid}/cmdline").read_bytes()))
            environ = Path(f"/proc/{pid}/environ").read_bytes().replace(from_outside, b"")
            self.said.append((f"environ of {pid}", environ))

    def look_at_files(self) -> None:
        """Take in everything written, but the files in which secrets belong; those are nobody else's."""
        home, key = self.installation.paths.home, self.installation.paths.key_file
        for file in self.folder.rglob("*"):
            if not file.is_file() or file.parent.name == "plugins" or file == self.folder / "old.json":
                continue
            if file == key or (file.parent == home and file.name.startswith("config.json")):
                assert file.stat().st_mode & 0o777 == 0o600, file
            else:
                self.said.append((str(file.relative_to(self.folder)), file.read_bytes()))


def body(provider: str, text: str, *, stream: bool, number: int = 0) -> bytes:
    return json.dumps(
        {
            "model": f"{provider},{MODELS[number]}",
            "max_tokens": 64,
            "stream": stream,
            "messages": [{"role": "user", "content": text}],
        }
    ).encode()


def forms_of(secret: str) -> list[bytes]:
    """Return every form in which somebody could find a secret again, its beginning among them."""
    data = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    texts = {
        *(secret, secret[:FIRST_CHARS], escaped, json.dumps(escaped)[1:-1], escaped.replace("/", r"\/")),
        *(quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)),
        *(repr(secret)[1:-1], repr(data)[2:-1]),
    }
    encoded = {data.hex().encode()}
    for before in (b"", b":", b"::"):
        # Where it stands in something longer: without the characters that its neighbours decide.
        whole = base64.b64encode(before + data).rstrip(b"=")[4 if before else 0 : -2]
        encoded |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return [*(text.encode() for text in texts), *encoded]


def found_in(said: list[tuple[str, bytes]]) -> list[str]:
    return [
        f"{name} in {where}: …{text[max(0, at - 60) : at + 60]!r}"
        for where, text in said
        for name, secret in SECRETS.items()
        for form in forms_of(secret)
        if (at := text.find(form)) >= 0
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with echoing() as port:
        made = Place(tmp_path_factory.mktemp("canary"), port)
        made.configure()
        yield made
        made.configure()
        made.run("stop", "--now")


def every_command(place: Place) -> None:
    file, old = str(place.folder / "body.json"), place.folder / "old.json"
    old.write_text(json.dumps(place.values(APIKEY=SECRETS["user token"], LOG_LEVEL="info")))
    for words in (
        ["status"],
        ["status", "--json"],
        ["start"],
        ["start", "--foreground"],
        ["config", "show"],
        ["config", "show", "--json"],
        ["config", "check"],
        ["config", "path"],
        ["config", "get", "PORT"],
        ["config", "get", "Providers"],
        ["config", "get", "APIKEY"],
        ["doctor"],
        ["doctor", "--json", "--no-calls"],
        ["logs", "-n", "0"],
        ["logs", "-n", "1000", "--json"],
        ["models"],
        ["models", "--refresh", "--json"],
        ["route", "explain", file],
        ["route", "explain", file, "--json"],
        ["route", "explain", file, "--json", "--chat"],
        ["model", "--list"],
        ["service", "status"],
        ["import", str(old)],
        ["import", str(old), "--yes"],
        ["config", "set", "Providers.plain.api_key", SECRETS["api key"]],
        ["config", "set", "--text", "APIKEY", LOCAL_KEY],
        ["config", "set", "PROXY_URL", f"ftp://me:{SECRETS['proxy password']}@x"],
        [
            "model",
            "add-provider",
            "more",
            "--url",
            f"{place.base}/x",
            "--key",
            LOCAL_KEY,
            "--models",
            "m",
            "-y",
        ],
        ["setup", "--host", place.base, "--yes"],
        ["setup", "--host", place.base, "--token-env", "CANARY_KEY", "--store-token", "--yes"],
        ["connect", "--yes"],
        ["disconnect", "--yes"],
        ["preset", "export", "mine"],
        ["preset", "info", "mine"],
        ["preset", "list"],
        ["usage"],
        ["usage", "--by", "agent", "--json"],
        ["requests", "--limit", "1000"],
        ["requests", "--limit", "1000", "--json"],
        ["version"],
        ["nonsense"],
    ):
        place.run(*words)
    place.run(
        "statusline", given=json.dumps({"model": {"id": "plain,m0"}, "cwd": str(place.folder)}).encode()
    )
    place.run("env", is_local_key_told=True)
    place.run("key", is_local_key_told=True)
    place.configure()


def every_answer(place: Place) -> None:
    for provider in ("plain", "native", "signed"):
        number = itertools.count()
        for path in ("/v1/messages", "/v1/chat/completions"):
            for stream in (False, True):
                for _ in range(len(ANSWERS)):
                    place.ask("POST", path, body(provider, "hello", stream=stream, number=next(number)))
    for provider in ("proxied", "environment", "quoted", "throwing", "logging", "failing", "nobody"):
        for path in ("/v1/messages", "/v1/chat/completions"):
            for stream in (False, True):
                place.ask("POST", path, body(provider, "please raise", stream=stream))
    token = {"x-forwarded-access-token": SECRETS["user token"]}
    for _ in range(len(ANSWERS)):
        place.ask("POST", "/v1/messages", body("users", "hello", stream=False), **token)
    for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions"):
        for data in (b"{", b"{}", body("plain", "x", stream=False)[:-5], b"\xff"):
            place.ask("POST", path, data)
        place.ask("POST", path, body("plain", "x", stream=False), **{"x-ccr-explain": "1"})
    for path in ("/", "/health?nonce=n", "/status", "/v1/models", "/v1/models/m", "/nowhere"):
        place.ask("GET", path)
    wrong = {"x-api-key": f"{LOCAL_KEY}x", "authorization": f"Bearer {SECRETS['user token']}"}
    place.ask("POST", "/v1/messages", b"{}", **wrong)


def every_count(place: Place) -> None:
    """Each by a model of its own: a tokenizer that has failed rests."""
    for number in range(len(ANSWERS)):
        asked = body("counting", "hello", stream=False, number=number)
        place.ask("POST", "/v1/messages/count_tokens", asked)


def every_mistake(place: Place) -> None:
    """Files with faults beside, in and around secrets; while the service runs, and for commands."""
    good = json.dumps(place.values())
    for text in (
        good[:-1],
        good.replace('"APIKEY": "', '"APIKEY": \\x"'),
        good.replace(f'"{LOCAL_KEY}"', f"[{LOCAL_KEY}]"),
        good.replace(f'"{LOCAL_KEY}"', json.dumps([LOCAL_KEY])),
        good.replace(f'"{SECRETS["api key"]}"', json.dumps({"key": SECRETS["api key"]})),
        good.replace(f'"{SECRETS["client secret"]}"', json.dumps([SECRETS["client secret"]])),
        good.replace("http://me:", "ftp://me:"),
        good.replace("http://me:", "http://[me:"),
        good.replace(f'"client_id": "{CLIENT_ID}", ', ""),
        good.replace('"api_key"', f'"{SECRETS["api key"]}"'),
        json.dumps(SECRETS),
        SECRETS["api key"],
        f"{{ // {SECRETS['api key']}\n 'a': ${SECRETS['second api key']} }}",
    ):
        place.write(text)
        for words in (
            ["config", "check"],
            ["config", "show"],
            ["doctor", "--no-calls"],
            ["restart"],
            ["status"],
        ):
            place.run(*words)
    place.write(good)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
@pytest.mark.fault(
    "L122", outcome="no form of a secret in any answer, file, output or argument, whatever goes wrong"
)
@pytest.mark.timeout(600)
def test_no_secret_anywhere(place: Place) -> None:
    (place.folder / "body.json").write_bytes(body("plain", "hello", stream=False))
    done = place.run("start")
    assert done.returncode == 0, done.stderr
    every_answer(place)
    every_count(place)
    place.look_at_processes()
    every_command(place)
    claude = place.folder / "claude"
    claude.write_text(CLAUDE.format(python=sys.executable))
    claude.chmod(0o755)
    done = place.run("code", "hello", CLAUDE_PATH=str(claude))
    assert done.returncode == 0, done.stderr
    place.said.pop()
    environ = next(line for line in done.stdout.splitlines() if line.startswith(b"ENVIRON"))
    assert LOCAL_KEY.encode() in environ, "the client has the local key, in its environment alone"
    kept = environ.replace(LOCAL_KEY.encode(), b"").replace(
        b"'CANARY_KEY', '%b'" % SECRETS["key of the environment"].encode(), b""
    )
    place.said.append(("ccr code", done.stderr + done.stdout.replace(environ, kept)))
    every_mistake(place)
    for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL):
        place.run("start")
        pid = place.installation.state()["pid"]
        place.ask("POST", "/v1/messages", body("plain", "hello", stream=True))
        os.kill(pid, number)
        until(partial(_is_gone, pid))
        place.run("status")
    place.run("start")
    place.run("stop")
    place.look_at_files()
    assert "home/usage.sqlite" in {where for where, _ in place.said}
    assert len(place.said) > 300
    assert found_in(place.said) == []


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_the_search_finds() -> None:
    for secret in SECRETS.values():
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            assert found_in([("somewhere", b"x" + form.encode() + b"y")])
