"""``ccr connect``, ``disconnect`` and ``key``: files of the person's, in and out again."""

from __future__ import annotations

import json
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ccr.cli.main import cli
from ccr.errors import StartError
from ccr.setup.client_settings import Before, Ours, settings_from, settings_with, settings_without
from ccr.setup.connection import read_connections

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {
    "PORT": 4567,
    "Providers": [
        {"name": "p", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["m"]},
    ],
    "Router": {"default": "p,m"},
}
URL = "http://127.0.0.1:4567"
OURS = Ours(base_url=URL, helper="ccr key", hook="ccr start >/dev/null")
WRITTEN = '{\n    "model": "opus",\n    "env": {"A": "ü", "MY_API_TOKEN": "very secret"},\n    "hooks": {}\n}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ccr").write_text("#!/bin/sh\n")
    (tools / "ccr").chmod(0o755)
    for name in ("CCR_HOME", "CLAUDE_CONFIG_DIR", "SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    configure(tmp_path)
    return tmp_path


def configure(home: Path, **more: Any) -> None:
    folder = home / ".claude-code-router"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | more))
    (folder / "config.json").chmod(0o600)


def settings_file(home: Path, text: str | None = None) -> Path:
    file = home / ".claude" / "settings.json"
    if text is not None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)
    return file


def run(command: str, *arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(cli, [command, *arguments], input=answers, catch_exceptions=False)


def test_connecting_keeps_what_stands_there(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    result = run("connect", answers="y\n")
    assert result.exit_code == 0
    assert json.loads(file.read_text()) == {
        "model": "opus",
        "env": {"A": "ü", "MY_API_TOKEN": "very secret", "ANTHROPIC_BASE_URL": URL},
        "hooks": {},
        "apiKeyHelper": "ccr key",
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert '+    "apiKeyHelper": "ccr key"' in result.output
    assert "very secret" not in result.output
    assert "`ccr start`" in result.output
    run("disconnect", "--yes")
    assert file.read_text() == WRITTEN
    assert list((home / ".claude-code-router" / "backups").iterdir()) == []


def test_nothing_is_written_unasked(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    for answer in ("n\n", "\n"):
        assert "Nothing was written" in run("connect", answers=answer).output
    assert file.read_text() == WRITTEN
    assert run("connect").exit_code == 1  # no answer at all
    assert file.read_text() == WRITTEN
    assert not (home / ".claude-code-router" / "connections.json").exists()


def test_a_file_made_for_ccr_goes_with_its_folder(home: Path) -> None:
    file = settings_file(home)
    assert run("connect", "--yes").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "removed" in run("disconnect", answers="y\n").output
    assert not file.parent.exists()


def test_a_folder_that_is_used_by_now_stays(home: Path) -> None:
    file = settings_file(home)
    run("connect", "--yes")
    (file.parent / "history").touch()
    run("disconnect", "--yes")
    assert [path.name for path in file.parent.iterdir()] == ["history"]


def test_a_folder_that_was_there_stays(home: Path) -> None:
    file = settings_file(home)
    file.parent.mkdir()
    run("connect", "--yes")
    run("disconnect", "--yes")
    assert file.parent.exists()


def test_connecting_again_changes_nothing_or_follows_the_configuration(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    run("connect", "--yes")
    assert "already" in run("connect", "--yes").output
    configure(home, PORT=4568)
    assert run("connect", "--yes", "--hook").exit_code == 0
    settings = json.loads(file.read_text())
    assert settings["env"]["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4568"
    command = settings["hooks"]["SessionStart"][0]["hooks"][0]["command"]
    assert command == "ccr start >/dev/null"
    run("disconnect", "--yes")
    assert file.read_text() == WRITTEN


def test_a_changed_file_loses_only_what_is_ours(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    run("connect", "--yes", "--hook")
    settings = json.loads(file.read_text())
    settings["model"] = "sonnet"
    settings["env"]["B"] = "2"
    file.write_text(json.dumps(settings, indent=4))
    result = run("disconnect", "--yes")
    assert "only ccr's keys" in result.output
    assert json.loads(file.read_text()) == {
        "model": "sonnet",
        "env": {"A": "ü", "MY_API_TOKEN": "very secret", "B": "2"},
    }
    assert read_connections_of(home) == {}


def test_a_changed_file_can_be_connected_again(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    run("connect", "--yes")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "sonnet"}, indent=4))
    configure(home, PORT=4568)
    assert run("connect", "--yes").exit_code == 0
    run("disconnect", "--yes")
    assert json.loads(file.read_text()) == {**json.loads(WRITTEN), "model": "sonnet"}


def read_connections_of(home: Path) -> Any:
    return json.loads((home / ".claude-code-router" / "connections.json").read_text())


def test_what_somebody_else_set_since_stays(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    run("connect", "--yes")
    settings = json.loads(file.read_text())
    settings["env"]["ANTHROPIC_BASE_URL"] = "https://elsewhere"
    settings["apiKeyHelper"] = "other"
    file.write_text(json.dumps(settings))
    result = run("disconnect", "--yes")
    assert "env.ANTHROPIC_BASE_URL was changed since" in result.output
    assert "apiKeyHelper was changed since" in result.output
    assert json.loads(file.read_text()) == settings


def test_declining_leaves_the_connection(home: Path) -> None:
    file = settings_file(home, WRITTEN)
    run("connect", "--yes")
    written = file.read_text()
    assert "Nothing was changed" in run("disconnect", answers="n\n").output
    assert file.read_text() == written
    file.unlink()
    assert "is gone" in run("disconnect").output
    assert "is not connected" in run("disconnect").output


def test_a_project_and_all_of_them(home: Path) -> None:
    project = home / "work"
    project.mkdir()
    settings_file(home, "{}")
    run("connect", "--yes", "--user")
    run("connect", "--yes", "--project", str(project))
    local = project / ".claude" / "settings.local.json"
    assert json.loads(local.read_text())["env"] == {"ANTHROPIC_BASE_URL": URL}
    result = run("disconnect", "--all", "--yes")
    assert result.output.count("\n") == 2
    assert not local.exists()
    assert settings_file(home).read_text() == "{}"
    assert "No file is connected" in run("disconnect", "--all").output
    assert run("connect", "--user", "--project", str(project)).exit_code == 2


def test_other_homes_are_named_in_the_commands(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "my files"
    (home / ".claude-code-router").rename(other)
    monkeypatch.setenv("CCR_HOME", str(other))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "claude"))
    run("connect", "--yes")
    settings = json.loads((home / "claude" / "settings.json").read_text())
    assert settings["apiKeyHelper"] == f"CCR_HOME='{other}' ccr key"


def test_a_rival_key_is_named(home: Path) -> None:
    settings_file(home, '{"env": {"ANTHROPIC_AUTH_TOKEN": "x"}}')
    result = run("connect", "--yes")
    assert "env.ANTHROPIC_AUTH_TOKEN stands in this file" in result.output
    assert '"x"' not in result.output


@pytest.mark.parametrize("text", ["{broken", "[]", '{"env": 1}'])
def test_a_file_that_is_no_settings_is_left_alone(home: Path, text: str) -> None:
    file = settings_file(home, text)
    with pytest.raises(StartError, match="left alone"):
        run("connect", "--yes")
    assert file.read_text() == text


def test_a_link_stays_a_link(home: Path) -> None:
    kept = home / "dotfile.json"
    kept.write_text(WRITTEN)
    file = settings_file(home)
    file.parent.mkdir()
    file.symlink_to(kept)
    run("connect", "--yes")
    assert file.is_symlink()
    assert URL in kept.read_text()
    run("disconnect", "--yes")
    assert (file.is_symlink(), kept.read_text()) == (True, WRITTEN)


def test_an_address_that_changes_cannot_be_connected(home: Path) -> None:
    configure(home, PORT=0)
    with pytest.raises(StartError, match="PORT is 0"):
        run("connect", "--yes")


def test_damaged_records_and_lost_backups_stop_it(home: Path) -> None:
    settings_file(home, WRITTEN)
    run("connect", "--yes")
    [backup] = (home / ".claude-code-router" / "backups").iterdir()
    backup.unlink()
    with pytest.raises(StartError, match="is gone"):
        run("disconnect", "--yes")
    (home / ".claude-code-router" / "connections.json").write_text("{")
    with pytest.raises(StartError, match="cannot be read"):
        run("disconnect", "--yes")


def test_the_key_and_nothing_else(home: Path) -> None:
    first = run("key")
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.output == (home / ".claude-code-router" / ".key").read_text()
    assert run("key").output == first.output
    configure(home, APIKEY="mine")
    assert run("key").output == "mine\n"


def test_the_helper_runs_in_a_shell(home: Path) -> None:
    (home / "bin" / "ccr").write_text('#!/bin/sh\necho "asked: $1"\n')
    settings_file(home, "{}")
    run("connect", "--yes")
    helper = json.loads(settings_file(home).read_text())["apiKeyHelper"]
    done = subprocess.run(helper, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - as claude does
    assert done.stdout == "asked: key\n"


# --- the pure part


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"env": {"A": "1"}},
        {"apiKeyHelper": "mine", "env": {"ANTHROPIC_BASE_URL": "https://mine"}},
        {"hooks": {"Stop": [{"hooks": []}]}},
        {
            "hooks": {
                "SessionStart": [{"matcher": "x", "hooks": [{"type": "command", "command": "y"}]}, "odd"]
            }
        },
    ],
)
def test_in_and_out_again(settings: dict[str, Any]) -> None:
    before = Before(settings.get("env", {}).get("ANTHROPIC_BASE_URL"), settings.get("apiKeyHelper"))
    connected = settings_with(settings, OURS)
    assert settings_with(connected, OURS) == connected
    assert settings_without(connected, OURS, before) == (settings, [])


def test_a_hook_among_others_goes_alone() -> None:
    mine = {"type": "command", "command": "y"}
    ours = {"type": "command", "command": OURS.hook}
    settings = {"hooks": {"SessionStart": [{"hooks": [mine, ours]}], "Stop": []}}
    assert settings_without(settings, OURS, Before())[0] == {
        "hooks": {"Stop": [], "SessionStart": [{"hooks": [mine]}]}
    }


def test_hooks_of_another_shape_give_way_only_on_request() -> None:
    settings = {"hooks": "odd"}
    assert settings_with(settings, Ours(base_url=URL, helper="h"))["hooks"] == "odd"
    assert settings_from(b" \n", "x") == {}


def test_the_record_is_private(home: Path) -> None:
    from ccr.config.paths import Paths

    settings_file(home, WRITTEN)
    run("connect", "--yes")
    folder = home / ".claude-code-router"
    assert stat.S_IMODE((folder / "connections.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "backups").stat().st_mode) == 0o700
    assert list(read_connections(Paths(folder))) == [str(settings_file(home))]
