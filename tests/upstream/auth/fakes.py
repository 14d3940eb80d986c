"""A clock set by hand, a source of tokens that is told when to answer, a token endpoint, a fake CLI."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from ccr.config.model import Secret
from ccr.errors import UpstreamError
from ccr.upstream.auth.http import FormAnswer
from ccr.upstream.auth.tokens import Moment, Token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

START_S = 1_800_000_000.0


class Clock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall_s = START_S
        self.steady_s = 1000.0

    def __call__(self) -> Moment:
        return Moment(self.wall_s, self.steady_s)

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


class Source:
    """Gives numbered tokens of ``life_s``; waits for ``gate``; raises ``error`` when there is one."""

    def __init__(self, clock: Clock, life_s: float | None = 3600.0) -> None:
        self.clock = clock
        self.life_s = life_s
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.error: BaseException | None = None
        self.fixed: str | None = None
        self.calls: list[str | None] = []
        self.running = 0
        self.most_running = 0

    async def fetch(self, replacing: Secret | None) -> Token:
        self.calls.append(replacing.reveal() if replacing is not None else None)
        name = self.fixed or f"token-{len(self.calls)}"
        self.running += 1
        self.started.set()
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return Token(Secret(name), None if self.life_s is None else self.clock.wall_s + self.life_s)

    def describe(self) -> Mapping[str, str]:
        return {"method": "fake", "host": "https://dbc.example.com"}


def outage(message: str = "the token endpoint is down") -> UpstreamError:
    return UpstreamError(503, message)


def web_token(**claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


class FakeHttp:
    """A TokenHttp that answers from a list, and remembers what was posted."""

    def __init__(self, *answers: tuple[int, object] | UpstreamError, **headers: str) -> None:
        self.answers = list(answers)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.posted: list[tuple[str, dict[str, str], tuple[str, str] | None]] = []

    async def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, Secret] | None
    ) -> FormAnswer:
        self.posted.append((url, dict(form), None if basic is None else (basic[0], basic[1].reveal())))
        answer = self.answers.pop(0)
        if isinstance(answer, UpstreamError):
            raise answer
        status, body = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return FormAnswer(status, self.headers, data)


@dataclass
class TokenEndpoint:
    """A strict ``/oidc/v1/token``: Basic credentials, the documented form, nothing else."""

    client_id: str = "11111111-2222"
    client_secret: str = "dose-not-a-secret"
    life_s: int = 3600
    fault: web.Response | None = None
    delay: asyncio.Event | None = None
    granted: int = 0
    url: str = ""
    problems: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.delay is not None:
            await self.delay.wait()
        if self.fault is not None:
            return self.fault
        pair = f"{self.client_id}:{self.client_secret}".encode()
        if request.headers.get("Authorization") != "Basic " + base64.b64encode(pair).decode():
            return web.json_response({"error": "invalid_client", "error_description": "nope"}, status=401)
        form = dict(await request.post())
        if form != {"grant_type": "client_credentials", "scope": "all-apis"}:
            self.problems.append(f"form {form}")
            return web.json_response({"error": "invalid_request"}, status=400)
        self.granted += 1
        return web.json_response(
            {"access_token": f"m2m-{self.granted}", "token_type": "Bearer", "expires_in": self.life_s}
        )


@asynccontextmanager
async def serving(endpoint: TokenEndpoint) -> AsyncIterator[TokenEndpoint]:
    app = web.Application()
    app.router.add_post("/oidc/v1/token", endpoint.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    endpoint.url = str(server.make_url("")).rstrip("/")
    try:
        yield endpoint
    finally:
        await server.close()


def fake_cli(folder: Path, script: str) -> str:
    """Write an executable ``databricks``: lines that know args, log (calls so far), fail() and token()."""
    path = folder / "databricks"
    path.write_text(
        f"#!{sys.executable} -I\n"
        "import json, os, pathlib, sys, time\n"
        "args = sys.argv[1:]\n"
        "here = pathlib.Path(__file__).parent\n"
        "calls = here / 'calls.jsonl'\n"
        "record = {'args': args, 'cwd': os.getcwd(), 'environ': dict(os.environ)}\n"
        "calls.open('a').write(json.dumps(record) + '\\n')\n"
        "log = [json.loads(line) for line in calls.read_text().splitlines()]\n"
        "def fail(text, status=1):\n"
        "    sys.stderr.write(text + '\\n'); sys.exit(status)\n"
        "def token(name, left_s=3600.0):\n"
        "    from datetime import datetime, timezone\n"
        f"    at = datetime.fromtimestamp({START_S} + left_s, timezone.utc).isoformat()\n"
        "    print(json.dumps({'access_token': name, 'token_type': 'Bearer', 'expiry': at}))\n"
        f"{script}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def calls_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
