"""``ccr model``, asked and by options, on real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from ccr.catalog.lookup import model_facts
from ccr.cli.main import cli
from ccr.config.paths import Paths
from ccr.errors import CcrError, ConfigError, StartError
from ccr.upstream.discovered import write_discovered
from ccr.upstream.discovery import ServedModel

if TYPE_CHECKING:
    from pathlib import Path

WORKSPACE = "https://adb-1.azuredatabricks.net"
TEXT = f"""\
{{
  // mine
  "Providers": [
    {{
      "name": "db", // the workspace
      "api_base_url": "{WORKSPACE}/serving-endpoints/m/invocations",
      "api_key": "secret-key-of-db",
      "models": ["m", "n"]
    }},
    {{ "name": "other", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["n", "o"] }}
  ],
  "Router": {{
    "default": "db,m", // by default
    "think": ["db,n", "other,o"]
  }}
}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCR_HOME", str(tmp_path))
    monkeypatch.delenv("SERVICE_PORT", raising=False)
    made = tmp_path / "config.json"
    made.write_text(TEXT)
    made.chmod(0o600)
    served = (
        ServedModel(name="served", task="llm/v1/chat"),
        ServedModel(name="embed", task="llm/v1/embeddings"),
    )
    write_discovered(Paths(tmp_path), WORKSPACE, (*served, ServedModel(name="M", task="llm/v1/chat")), at=0)
    return made


def run(*arguments: str, stdin: str = "") -> Result:
    done = CliRunner().invoke(cli, ["model", *arguments], input=stdin)
    if isinstance(done.exception, CcrError):
        raise done.exception
    return done


@pytest.mark.parametrize(
    ("arguments", "old", "new"),
    [
        (["--default", "OTHER, o"], '"default": "db,m"', '"default": "other,o"'),
        (["--background", "o"], '"other,o"]\n', '"other,o"],\n    "background": "other,o"\n'),
        (["--think", "other,o"], '["db,n", "other,o"]', '["other,o"]'),
        (["--think", "none"], ', // by default\n    "think": ["db,n", "other,o"]', " // by default"),
        (["--long-context", "m"], '"other,o"]\n', '"other,o"],\n    "longContext": "db,m"\n'),
        (["--web-search", "m"], '"other,o"]\n', '"other,o"],\n    "webSearch": "db,m"\n'),
        (["--image", "m"], '"other,o"]\n', '"other,o"],\n    "image": "db,m"\n'),
        (
            ["add-model", "other", "p", "--yes", "--transformer", 'maxtoken={"max_tokens": 9}'],
            '"models": ["n", "o"] }',
            '"models": ["n", "o", "p"], "transformer": {"p": {"use": [["maxtoken", {"max_tokens": 9}]]}} }',
        ),
    ],
)
def test_options(file: Path, arguments: list[str], old: str, new: str) -> None:
    assert old in TEXT
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    written = file.read_text()
    assert written == TEXT.replace(old, new)
    assert "secret-key-of-db" not in done.output


def test_a_served_model_is_listed_and_chosen(file: Path) -> None:
    assert "served, not listed yet" in run("--list").output
    assert "embed" not in run("--list").output
    run("--background", "served")
    assert '"models": ["m", "n", "served"]' in file.read_text()
    assert '"background": "db,served"' in file.read_text()


def test_a_route_further_down_the_list_moves_to_its_front(file: Path) -> None:
    file.write_text(TEXT.replace('["db,n", "other,o"]', '["db,n", "Other, O", "db,m"]'))
    assert run("--think", "other,o").exit_code == 0
    assert '"think": ["other,o", "db,m"]' in file.read_text()


def test_asking(file: Path) -> None:
    typed = "1\nnothing\nxyz\nlongcontext\n3\nthink\nnone\n1\ndb,n\n\ny\n"
    done = run(stdin=typed)
    assert done.exit_code == 0, done.output
    assert "There is no model 'nothing'" in done.output
    assert "There is no 'xyz'" in done.output
    written = file.read_text()
    assert '"default": "db,n", // by default' in written
    assert '"longContext": "other,n"' in written
    assert "think" not in written


def test_asking_for_what_is_not_there_yet(file: Path) -> None:
    model = '+\nOther\np\nmaxtoken=3\nmaxtoken={"max_tokens": 9}\n\n'
    refused = "+\nnew\nftp://x/y\n\na\nnone-such\n\n"
    provider = "+\nnew\nhttp://127.0.0.1:8/v1/chat/completions\nkey-of-new\na, b\n\n"
    left = "+\n\n+\nother\n\n+\nnewer\n\n+\nnewer\nhttps://x/y\n\n\n"
    done = run(stdin=f"{model}{refused}{provider}{left}image\n\nimage\nnew,b\n2\n5\n\ny\n")
    assert done.exit_code == 0, done.output
    assert "key-of-new" not in done.output
    assert "maxtoken: the options are a JSON object" in done.output
    assert "Providers[2].api_base_url: found a text without https://" in done.output
    assert done.output.count("Nothing was added.") == 5
    assert "  5  other,p\n  6  new,a\n  7  new,b\n  8  db,served  (served, not listed yet)\n" in done.output
    text = file.read_text()
    for written in (
        '"name": "db", // the workspace',
        '"models": ["n", "o", "p"], "transformer": {"p": {"use": [["maxtoken", {"max_tokens": 9}]]}} }',
        '"api_key": "key-of-new"',
        '"image": "new,b"',
        '"background": "other,p"',
    ):
        assert written in text, written


def test_asking_for_a_workspace(file: Path) -> None:
    typed = "+\nwork\nadb-2.azuredatabricks.net\n$WORK_TOKEN\nsonnet\n\n1\nwork,sonnet\n\ny\n"
    done = CliRunner().invoke(cli, ["model"], input=typed, env={"WORK_TOKEN": "token-of-work"})
    assert done.exit_code == 0, done.output
    assert "token-of-work" not in done.output
    assert '"host": "adb-2.azuredatabricks.net"' in file.read_text()
    assert '"api_key": "$WORK_TOKEN"' in file.read_text()


def test_models_that_are_switched_off_say_so(file: Path) -> None:
    file.write_text(TEXT.replace('"m", "n"', '"m", "n", "databricks-claude-sonnet-4"'))
    facts = model_facts("databricks-claude-sonnet-4")
    assert facts is not None
    line = next(line for line in run("--list").output.splitlines() if "sonnet-4" in line)
    assert line.endswith((f"(retired {facts.retires})", f"(retires {facts.retires})"))


def test_long_names_are_shown_whole(file: Path) -> None:
    name = "a-model-with-a-very-long-name" * 4
    file.write_text(TEXT.replace('"m", "n"', f'"m", "n", "{name}"').replace("db,m", f"db,{name}"))
    assert run("--list").output.count(f"db,{name}") == 2


def test_declining_and_changing_nothing(file: Path) -> None:
    assert "Nothing was written." in run(stdin="1\nn\n1\no\n\nn\n").output
    assert "Nothing changes." in run(stdin="\n").output
    assert "Nothing changes." in run("--default", "m").output
    assert file.read_text() == TEXT


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--default", "n"], "several providers: db,n, other,n"),
        (["--default", "x"], "There is no model 'x'; there are db,m"),
        (["--default", "none"], "There is no model 'none'"),
        (["add-model", "x", "y"], "There is no provider x; there are db, other"),
        (["add-provider", "DB", "--models", "a"], "There is a provider DB already"),
    ],
)
def test_what_is_not_there(arguments: list[str], sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        run(*arguments)


def test_adding_a_provider(file: Path) -> None:
    arguments = ["add-provider", "new", "--url", "http://127.0.0.1:8/v1/chat/completions", "--models", "a, b"]
    done = run(*arguments, "--key", "-", "--transformer", "OpenAI", "--yes", stdin="the-key\n")
    assert done.exit_code == 0, done.output
    assert "the-key" not in done.output
    assert '"api_key": "the-key"' in file.read_text()
    assert run("--default", "new,a").exit_code == 0


def test_adding_what_cannot_be_used(file: Path) -> None:
    with pytest.raises(ConfigError):
        run("add-provider", "new", "--url", "ftp://x", "--models", "a", "--yes")
    assert run("add-model", "db", "x", "--transformer", "maxtoken=3").exit_code == 2
    assert file.read_text() == TEXT


def test_a_broken_configuration_can_be_mended(file: Path) -> None:
    file.write_text(TEXT.replace('"db,m"', '"db,gone"'))
    run("--default", "m")
    assert file.read_text() == TEXT
