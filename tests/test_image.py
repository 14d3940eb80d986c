"""The container image: what its recipe names is there, and it runs what it should as nobody special."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from ccr.cli.main import cli
from ccr.config.load import config_from_bytes

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "Dockerfile").read_text()
LINES = [line for line in RECIPE.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
HOME = "/home/ccr/.claude-code-router"


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def command_of(line: str) -> click.Command:
    words = re.findall(r'"([^"]+)"', line)
    assert words[0] == "ccr"
    command: click.Command = cli
    for word in words[1:]:
        if isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None
            command = found
        else:
            assert any(word in option.opts for option in command.params), f"{word} is no option"
    return command


def test_what_is_copied_is_there_and_let_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = [shlex.split(line)[:-1] for line in instructions("COPY") if not line.startswith("--from=build")]
    names = {name for names in copied for name in names}
    assert names, "something of the checkout is in the image"
    for name in names:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in let_through, f"{name} is kept out by .dockerignore"
    # what hatchling reads to make the wheel
    assert {"pyproject.toml", "README.md", "LICENSE", "src"} <= names


def test_only_locked_requirements_are_installed() -> None:
    installs = [part for line in instructions("RUN") for part in line.split("&&") if " pip install" in part]
    assert len(installs) == 3
    for line in installs:
        assert ("--require-hashes" in line) is not ("--no-deps dist/*.whl" in line), line


def test_it_serves_as_a_user_without_rights() -> None:
    assert instructions("USER") == ["ccr"]
    assert instructions("VOLUME") == [HOME]
    assert instructions("EXPOSE") == ["3456"]
    (serve,) = instructions("CMD")
    assert command_of(serve).name == "start"
    assert "--foreground" in serve
    (check,) = instructions("HEALTHCHECK")
    assert command_of(check.partition("CMD")[2]).name == "status"


@pytest.mark.parametrize("variables", [{"CCR_KEY": "k" * 48, "DATABRICKS_TOKEN": "t"}])
def test_the_configuration_of_the_docs_listens_for_the_container(variables: dict[str, str]) -> None:
    docs = (ROOT / "docs" / "docker.md").read_text()
    written = docs.partition("```jsonc\n")[2].partition("```")[0].replace("<workspace>", "w.example.com")
    config = config_from_bytes(written.encode(), variables)
    assert (config.host, config.port) == ("0.0.0.0", 3456)  # noqa: S104 - read, nothing listens
    compose = (ROOT / "compose.yaml").read_text()
    assert '"127.0.0.1:3456:3456"' in compose
    assert f":{HOME}" in compose
    for name in variables:
        assert f"- {name}" in compose
