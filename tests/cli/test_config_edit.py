"""``ccr config get|set|unset`` on real files."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from ccr.cli.main import cli
from ccr.errors import CcrError, ConfigError, StartError
from ccr.setup.config_change import planned, read_written, write_planned

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
{
  // where requests go
  "Providers": [
    {
      "name": "databricks",
      "api_base_url": "http://127.0.0.1:9/v1/chat/completions",
      "api_key": "dapi-very-secret", // mine
      "models": ["m", "n"],
    },
  ],
  "Router": { "default": "databricks,m" }, // by default
}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCR_HOME", str(tmp_path))
    monkeypatch.delenv("SERVICE_PORT", raising=False)
    made = tmp_path / "config.json"
    made.write_text(TEXT)
    made.chmod(0o600)
    return made


def run(*arguments: str, stdin: str = "") -> Result:
    done = CliRunner().invoke(cli, ["config", *arguments], input=stdin)
    if isinstance(done.exception, CcrError):
        raise done.exception
    return done


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["Router.default"], "databricks,m\n"),
        (["Providers[0].models"], '[\n  "m",\n  "n"\n]\n'),
        (["Providers.databricks.api_key"], "***\n"),
        (["Providers.databricks.api_key", "--reveal"], "dapi-very-secret\n"),
        (["Providers.databricks.models[1]"], "n\n"),
    ],
)
def test_get(file: Path, arguments: list[str], output: str) -> None:
    assert run("get", *arguments).output == output
    assert file.read_text() == TEXT


def test_get_of_a_header_and_of_an_address(file: Path) -> None:
    document = json.loads(run("get", "Providers", "--reveal").output)
    api = {"type": "api", "url": "https://count.example/secret", "headers": {"Team": "secret"}}
    run("set", "Providers", json.dumps([{**document[0], "tokenizer": api}]))
    tokenizer = "Providers.databricks.tokenizer"
    assert run("get", f"{tokenizer}.headers.Team").output == "***\n"
    assert run("get", f"{tokenizer}.url").output == "https://count.example/***\n"
    assert "secret" not in run("get", tokenizer).output
    assert run("get", f"{tokenizer}.headers.Team", "--reveal").output == "secret\n"


def test_get_of_a_part_masks_what_is_secret_in_it(file: Path) -> None:
    shown = run("get", "Providers").output
    assert json.loads(shown)[0]["api_key"] == "***"
    assert "very-secret" not in shown


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("key", "sentence"), [("Nothing", "is not in"), ("Providers.x.name", "no entry named")]
)
def test_get_of_what_is_not_there(key: str, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        run("get", key)


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("Router.default", "databricks,n", '"databricks,m" }', '"databricks,n" }'),
        ("Providers[0].models", '["m", "n", "o"]', '["m", "n"]', '["m", "n", "o"]'),
        ("Providers.databricks.api_key", "12345", '"dapi-very-secret"', '"12345"'),
        ("Providers.databricks.max_tokens", "100", '["m", "n"],', '["m", "n"],\n      "max_tokens": 100,'),
        ("PORT", "4000", "}, // by default", '}, // by default\n  "PORT": 4000,'),
    ],
)
def test_set_changes_nothing_else(file: Path, key: str, value: str, old: str, new: str) -> None:
    output = run("set", key, value).output
    assert file.read_text() == TEXT.replace(old, new)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    backups = [each for each in file.parent.iterdir() if ".bak-" in each.name]
    assert [each.read_text() for each in backups] == [TEXT]
    assert backups[0].name in output
    assert "12345" not in output


def test_set_from_stdin_and_of_a_text_that_looks_like_json(file: Path) -> None:
    run("set", "Providers.databricks.api_key", "-", stdin="true\n")
    run("set", "CLAUDE_PATH", "7", "--text")
    assert '"api_key": "true"' in file.read_text()
    assert '"CLAUDE_PATH": "7"' in file.read_text()


def test_what_is_so_already_is_not_written(file: Path) -> None:
    assert "nothing was written" in run("set", "Router.default", "databricks,m").output
    assert list(file.parent.iterdir()) == [file]


def test_a_configuration_with_problems_is_not_written(file: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        run("set", "Providers", '[{"name": "x y", "api_base_url": "ftp://h", "models": []}]')
    assert len(raised.value.problems) >= 3
    with pytest.raises(ConfigError, match=r"Router\.default"):
        run("unset", "Router.default")
    assert file.read_text() == TEXT
    assert list(file.parent.iterdir()) == [file]


def test_unset(file: Path) -> None:
    run("unset", "Providers.databricks.models[1]")
    assert file.read_text() == TEXT.replace('["m", "n"]', '["m"]')


def test_unknown_keys_are_warned_of(file: Path) -> None:
    done = run("set", "LOG_LEVL", "info")
    assert "did you mean LOG_LEVEL?" in done.output
    assert '"LOG_LEVL": "info"' in file.read_text()


def test_a_file_that_changes_meanwhile_is_not_overwritten(file: Path) -> None:
    written = read_written(file)
    change, _ = planned(written, {**written.document, "PORT": 1}, {})
    file.write_text("theirs")
    with pytest.raises(StartError, match="changed by somebody else"):
        write_planned(change)
    assert file.read_text() == "theirs"


def test_without_a_configuration(file: Path) -> None:
    file.unlink()
    with pytest.raises(StartError) as raised:
        run("set", "PORT", "1")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(("text", "sentence"), [("{", "JSON"), ("[]", "an object with Providers")])
def test_of_a_damaged_configuration(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        run("get", "PORT")


@pytest.mark.parametrize("command", ["config", "model", "import"])
def test_a_running_service_reads_what_was_written(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("ccr.daemon.control.ask_to_reload", lambda paths, _: asked.append(paths.config_file))
    source = tmp_path / "old.json"
    source.write_text(TEXT.replace("databricks,m", "databricks,n"))
    arguments = {
        "config": ["config", "set", "Router.default", "databricks,n"],
        "model": ["model", "--default", "n"],
        "import": ["import", str(source), "--yes"],
    }
    for _ in range(2):  # the second time nothing is written
        done = CliRunner().invoke(cli, arguments[command])
        assert done.exit_code == 0, done.output
    assert asked == [file]
