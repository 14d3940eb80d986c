from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp
import openai
import pytest
from click.testing import CliRunner

from ccr.cli.main import cli
from ccr.errors import StartError
from tests.sandbox.bodies import OLD
from tests.sandbox.http import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = [sys.executable, "-P", "-c", "from ccr.cli import main; main()", "sandbox"]


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_until_it_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"turns": [{"text": "Scripted"}]}')
    with running("--json", "--script", str(script)) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        provider = told["config"]["Providers"][0]
        assert provider["api_base_url"] == f"{told['url']}/serving-endpoints/{OLD}/invocations"
        assert told["config"]["Router"] == {"default": f"databricks,{OLD}"}
        client = openai.OpenAI(base_url=f"{told['url']}/serving-endpoints", api_key=provider["api_key"])
        answer = client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "hi"}])
        client.close()
        assert answer.choices[0].message.content == "Scripted"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_an_own_token_is_never_printed() -> None:
    with running(CCR_SANDBOX_TOKEN="my-own-token") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        client = openai.OpenAI(base_url=f"{url}/serving-endpoints", api_key="my-own-token")
        client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "hi"}])
        client.close()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(10) == 0
    assert "$CCR_SANDBOX_TOKEN" in rest
    assert "my-own-token" not in rest
    assert "CLIENT_SECRET" not in rest


def test_a_service_principal_signs_in() -> None:
    async def expires_in_and_status(url: str, client: tuple[str, str]) -> tuple[int, int]:
        async with aiohttp.ClientSession() as http:
            basic = {"authorization": aiohttp.encode_basic_auth(*client)}
            async with http.post(f"{url}/oidc/v1/token", data=CREDENTIALS, headers=basic) as response:
                answer = await response.json()
            headers = {"authorization": f"Bearer {answer['access_token']}"}
            async with http.get(f"{url}/ai-gateway/anthropic/v1/models", headers=headers) as response:
                return answer["expires_in"], response.status

    with running("--json", "--token-lifetime", "60", "--native", "none") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        (client,) = told["clients"].items()
        assert asyncio.run(expires_in_and_status(told["url"], client)) == (60, 404)


def test_what_a_person_is_told() -> None:
    with running() as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
    assert [line.split()[0] for line in lines] == ["sandbox", "token", "client", "models"]
    assert "DATABRICKS_CLIENT_ID=sandbox-client DATABRICKS_CLIENT_SECRET=" in lines[2]


@pytest.mark.parametrize(
    ("content", "expected"), [('{"turns": 5}', "$.turns"), (None, "No such file or directory")]
)
def test_a_script_that_cannot_be_read(tmp_path: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "script.json"
    if content is not None:
        path.write_text(content)
    result = CliRunner().invoke(cli, ["sandbox", "--script", str(path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, StartError)
    assert expected in str(result.exception)
    assert "script.json" in str(result.exception)


def test_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(cli, ["sandbox", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert isinstance(result.exception, StartError)
    assert "cannot be used" in str(result.exception)
