"""What a person can set or run stands in the docs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from ccr.cli.main import COMMANDS, cli
from ccr.config import load, providers, router, tokenizers
from ccr.config.model import Secret
from ccr.launcher.environment import REMOVED, Target, claude_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parents[2] / "docs"
README = DOCS.parent / "README.md"
SETUP = ("setup", "doctor", "models", "connect", "disconnect", "key")
PAGES = {
    **dict.fromkeys(SETUP, "setup.md"),
    "preset": "presets.md",
    "route": "routing.md",
    "statusline": "statusline.md",
    "sandbox": "sandbox.md",
}
"""Command -> the page of its own that describes its options; the others are described in commands.md."""
IN_CODE = re.compile(r"`(ccr [^`]*)`|^(ccr .*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| (`[^|]*) \|", re.MULTILINE)


def words(page: str) -> str:
    return (DOCS / page).read_text()


def command_of(name: str) -> click.Command:
    with cli.make_context("ccr", ["status"]) as context:
        command = cli.get_command(context, name)
    assert command is not None
    return command


def options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        names = (*parameter.opts, *parameter.secondary_opts)
        yield from (name for name in names if name.startswith("-"))
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield name
            yield from options(each)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described(name: str) -> None:
    assert f"`ccr {name}" in words("commands.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert f"`ccr {name}" in README.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    page = words(PAGES.get(name, "commands.md"))
    assert [option for option in options(command_of(name)) if option not in page] == []


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.stem)
def test_commands_that_the_docs_show_exist_with_their_options(page: Path) -> None:
    known = {name: set(options(command_of(name))) for name in COMMANDS}
    unknown = []
    for shown in (found[1] or found[2] for found in IN_CODE.finditer(page.read_text())):
        name, *arguments = shown.partition("  #")[0].split()[1:] or [""]
        if name not in known or name in ("code", "config"):  # claude's own arguments; any key and value
            continue
        written = [each.strip("[],()|").partition("=")[0] for each in arguments]
        unknown += [f"{name} {each}" for each in written if each[:2] == "--" and each not in known[name]]
    assert unknown == []


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
    files = [link for link in links if link and "://" not in link]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_every_variable_of_the_launcher_is_described() -> None:
    environment = claude_environment({}, Target(base_url="http://h:1", key=Secret("k"), model="m"))
    names = [*environment, *REMOVED]
    assert [name for name in names if f"`{name}`" not in words("commands.md")] == []


def test_every_key_of_the_configuration_is_described() -> None:
    keys = (*load.KEYS, *router.KEYS, *providers.KEYS, *tokenizers.KEYS)
    assert [key for key in keys if f"`{key}`" not in words("configuration.md")] == []


def test_every_page_is_linked_in_the_readme() -> None:
    text = README.read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in text] == []


def test_messages_that_the_docs_explain_are_those_of_the_program() -> None:
    texts = {
        node.value
        for file in (DOCS.parent / "src" / "ccr").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    filled_in = r"…|;| by |\S+\[\d\]\S*|\w+\.json|[A-Z_]{6,}|\b\d[\d.]*|found|allowed"
    said_by_the_client = re.compile(r"(API Error|Failed to authenticate|Request rejected|Prompt is too long)")
    pieces = []
    for shown in re.findall(r"^\| (.*?) \|", words("troubleshooting.md"), re.MULTILINE):
        for message in re.findall(r"`([^`]+)`", shown):
            apart = re.split(filled_in, message)
            pieces += [piece.strip(" :;.()") for piece in apart if not said_by_the_client.search(piece)]
    missing = [piece for piece in pieces if len(piece) > 5 and not any(piece in text for text in texts)]
    assert len(pieces) > 20
    assert missing == []


def test_every_key_that_is_described_exists() -> None:
    known = {*load.KEYS, *router.KEYS, *providers.KEYS, "$schema"}
    known |= {*tokenizers.KEYS}
    keys = words("configuration.md").partition("## Keys")[2].partition("## Variables")[0]
    rows = [found for row in ROW.findall(keys) for found in re.findall(r"`([^`]+)`", row)]
    dialects = {"chat", "anthropic", "auto"}
    assert len(rows) > 50
    assert [key for key in rows if key not in known | dialects] == []
