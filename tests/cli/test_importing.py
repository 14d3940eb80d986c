"""``ccr import``: folders of versions 1 and 2, and databases as version 3 (npm release 3.1.1) makes them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ccr.cli.main import cli
from ccr.errors import CcrError, ConfigError, StartError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
CREATE TABLE app_config (key TEXT PRIMARY KEY, value_json TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL DEFAULT '', encrypted_key TEXT NOT NULL,
    encryption TEXT NOT NULL DEFAULT 'plain', created_at TEXT NOT NULL, expires_at TEXT NOT NULL DEFAULT '',
    limits_json TEXT NOT NULL DEFAULT '');
CREATE TABLE legacy_storage_backups (id TEXT PRIMARY KEY, source_path TEXT NOT NULL,
    source_kind TEXT NOT NULL, sha256 TEXT NOT NULL, content BLOB NOT NULL, archived_at TEXT NOT NULL);
"""
URL = "https://openrouter.ai/api/v1/chat/completions"
TAKEN_OVER: dict[str, Any] = {
    "APIKEY": "client-key-secret",
    "Providers": [
        {
            "name": "open",
            "api_base_url": URL,
            "api_key": "old-secret",
            "models": ["a/b", "c"],
            "max_tokens": 9,
        },
        {"name": "gone", "api_base_url": URL, "api_key": "x-secret", "models": ["g"]},
    ],
    "Router": {"default": "open,a/b", "background": "gone,g"},
}
SETTINGS: dict[str, Any] = {
    "APIKEY": "",
    "PORT": 3996,
    "HOST": "127.0.0.1",
    "API_TIMEOUT_MS": 600000,
    "CUSTOM_ROUTER_PATH": "",
    "Providers": [
        {
            "name": "open",
            "id": "provider-1",
            "api_base_url": URL,
            "api_key": "new-secret",
            "models": ["a/b", "c"],
        },
        {
            "name": "added",
            "baseUrl": "https://api.example.com/v1",
            "apiKey": "",
            "models": ["m"],
            "capabilities": [{"type": "openai_chat_completions", "baseUrl": "https://api.example.com/v1"}],
            "credentials": [{"api_key": "one-secret"}, {"apiKey": "two-secret"}],
            "extraHeaders": {"x": "y"},
        },
        {
            "name": "claude",
            "baseUrl": "https://api.example.org",
            "api_key": "k-secret",
            "models": ["claude-sonnet-4-6"],
            "capabilities": [{"type": "anthropic_messages"}],
        },
        {
            "name": "google",
            "baseUrl": "https://g",
            "models": ["g"],
            "capabilities": [{"type": "gemini_interactions"}],
        },
        {"name": "off", "baseUrl": "https://o", "models": ["o"], "enabled": False},
    ],
    "Router": {
        "builtInRules": {"codex": {"enabled": True}},
        "fallback": {"mode": "model-chain", "models": ["added/m", "nobody/x", "added/m"], "retryCount": 1},
        "rules": [{"id": "r1", "name": "Long ones", "enabled": True}, {"id": "r2", "enabled": False}],
    },
    "profile": {"claudeCode": {"model": "open/c", "smallFastModel": "added/m", "opusModel": "claude/x"}},
    "virtualModelProfiles": [{"id": "v"}],
    "toolHub": {"enabled": False, "llm": {"model": "x"}},
    "observability": {"requestLogs": True},
    "theme": "system",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CCR_HOME", str(folder))
    for name in ("SERVICE_PORT", "MY_UNSET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def database(folder: Path, settings: Any = SETTINGS, legacy: Any = TAKEN_OVER) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "config.sqlite"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("PRAGMA journal_mode=WAL")
        made.executescript(SCHEMA)
        if settings is not None:
            made.execute("INSERT INTO app_config VALUES ('default', ?, '2026')", [json.dumps(settings)])
        made.execute(
            "INSERT INTO api_keys (id, encrypted_key, created_at) VALUES ('1', 'first-secret', '1970')"
        )
        made.execute("INSERT INTO api_keys (id, encrypted_key, created_at) VALUES ('2', 'second', '1970')")
        made.execute(
            "INSERT INTO api_keys (id, encrypted_key, created_at) VALUES ('profile:x', 'third', '1970')"
        )
        made.execute(
            "INSERT INTO api_keys (id, encrypted_key, encryption, created_at) VALUES ('4', 'A', 'x', '1970')"
        )
        if legacy is not None:
            made.execute(
                "INSERT INTO legacy_storage_backups VALUES ('i', '/x', 'legacy-json-config', '', ?, '2026')",
                [json.dumps(legacy).encode()],
            )
    return path


def run(*arguments: str, stdin: str = "") -> Result:
    done = CliRunner().invoke(cli, ["import", *arguments], input=stdin)
    if isinstance(done.exception, CcrError):
        raise done.exception
    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    return done


def written(home: Path) -> Any:
    return json.loads((home / "config.json").read_text())


def test_a_database_in_the_own_folder(home: Path) -> None:
    before = database(home).read_bytes()
    output = run("--yes").output
    assert (home / "config.sqlite").read_bytes() == before
    document = written(home)
    assert document["Providers"] == [
        {**TAKEN_OVER["Providers"][0], "api_key": "new-secret"},
        {
            "name": "added",
            "api_base_url": "https://api.example.com/v1/chat/completions",
            "api_key": "one-secret",
            "api_keys": ["two-secret"],
            "models": ["m"],
        },
        {
            "name": "claude",
            "api_base_url": "https://api.example.org/v1/messages",
            "api_key": "k-secret",
            "models": ["claude-sonnet-4-6"],
        },
    ]
    assert document["Router"] == {"default": "open,a/b"}
    assert document["fallback"] == {"default": ["added,m"]}
    assert document["PORT"] == 3996
    assert document["APIKEY"] == "client-key-secret"
    for sentence in (
        "The provider gone was removed in version 3",
        "Router.background leads to gone,g",
        "The provider google speaks gemini_interactions",
        "The provider off is switched off",
        "The 2 keys of the provider added are taken in turn",
        "extraHeaders of the provider added",
        "routing rules (Long ones)",
        "opusModel claude/x",
        "virtualModelProfiles is not known",
        "1 further client keys",
        "1 client keys are encrypted",
    ):
        assert sentence in output, sentence
    assert "toolHub" not in output
    assert "theme" not in output
    assert CliRunner().invoke(cli, ["config", "check"]).exit_code == 0


def test_a_database_that_took_nothing_over(home: Path, tmp_path: Path) -> None:
    path = database(tmp_path / "v3", legacy=None)
    output = run(str(path), stdin="y\n").output
    document = written(home)
    assert document["Router"] == {"default": "open,c", "background": "added,m"}
    assert document["APIKEY"] == "first-secret"
    assert "Router.background is added,m" in output


def test_without_a_default_the_first_model(home: Path, tmp_path: Path) -> None:
    settings = {"Providers": SETTINGS["Providers"][:1]}
    database(tmp_path / "v3", settings, None)
    assert "it had no default" in run(str(tmp_path / "v3"), "--yes").output
    assert written(home)["Router"] == {"default": "open,a/b"}


@pytest.mark.usefixtures("home")
def test_databases_that_hold_nothing(tmp_path: Path) -> None:
    database(tmp_path / "v3", None, None)
    with pytest.raises(StartError, match="holds no configuration"):
        run(str(tmp_path / "v3"))
    (tmp_path / "other.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StartError, match="no database of the npm router"):
        run(str(tmp_path / "other.sqlite"))
    with pytest.raises(StartError, match="neither a config"):
        run(str(tmp_path / "nothing"))


OLD = """\
// mine
{
  "HOST": "0.0.0.0", /* everywhere */
  "Providers": [
    { "name": "db", "api_base_url": "https://adb-1.azuredatabricks.net/serving-endpoints/m/invocations",
      "api_key": "$MY_UNSET_KEY", "models": ["m"],
      "transformer": {"use": ["databricks-custom", "made-up"], "m": {"use": [["x"]]}} },
    { "name": "empty", "api_base_url": "" },
    { "name": "idle", "host": "x.cloud.databricks.com", "models": [] },
    { "api_base_url": "https://x" },
    { "name": "plain", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["p"],
      "transformer": {"use": [3, ["maxtoken", 4]], "p": "odd"} }
  ],
  "transformers": [{ "path": "none.js" }],
  "CUSTOM_ROUTER_PATH": "router.js",
  "Router": { "default": "db,m", "think": "empty,m", "image": ["db,m"] }, // routes
  "fallback": { "default": ["db,m", "empty,x"] },
}
"""


def test_a_folder_of_version_1(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    (folder / "presets" / "team").mkdir(parents=True)
    (folder / "presets" / "team" / "manifest.json").write_text("{}")
    (folder / "-work-project").mkdir()
    (folder / "-work-project" / "config.json").write_text("{}")
    (folder / "router.js").write_text("")
    (folder / "config.json").write_text(OLD)
    output = run(str(folder), "--yes").output
    text = (home / "config.json").read_text()
    assert (folder / "config.json").read_text() == OLD
    for kept in ("// mine", "/* everywhere */", '"HOST": "127.0.0.1"', "// routes", '"$MY_UNSET_KEY"'):
        assert kept in text, kept
    assert f'"CUSTOM_ROUTER_PATH": "{folder}/router.js"' in text
    assert '"transformer": {"use": ["databricks-custom"], "m": {"use": []}}' in text
    for sentence in (
        "MY_UNSET_KEY has to be set",
        "The provider empty was left out: models: found nothing",
        "api_base_url: found an empty text",
        "The provider idle was left out: models: found an empty list",
        "The provider without a name was left out: name: found nothing",
        "A transformer of plain was left out: it is neither a name",
        "transformer.p of plain has a form that is not known",
        "A transformer of db was left out: ",
        "none.js is not there",
        "Router.think leads to empty,m",
        "fallback lost routes",
        "HOST was 0.0.0.0",
        "Presets (team)",
        "copy the folders -work-project",
    ):
        assert sentence in output, sentence
    assert "says this already" in run(str(folder)).output


def test_declining(home: Path, tmp_path: Path) -> None:
    database(tmp_path / "v3")
    assert "Nothing was written." in run(str(tmp_path / "v3"), stdin="n\n").output
    assert not (home / "config.json").exists()


def test_the_present_configuration_is_kept_aside(home: Path, tmp_path: Path) -> None:
    (home / "config.json").write_text("old")
    database(tmp_path / "v3")
    run(str(tmp_path / "v3"), "--yes")
    assert [each.read_text() for each in home.iterdir() if ".bak-" in each.name] == ["old"]


def test_what_has_nothing_wrong_is_not_touched(home: Path) -> None:
    good = json.dumps({**TAKEN_OVER, "Router": {"default": "open,c"}})
    (home / "config.json").write_text(good)
    assert "says this already" in run().output
    assert (home / "config.json").read_text() == good


def test_files_of_transformers_and_routers_that_are_gone(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    folder.mkdir()
    for name in ("own.js", "with-variable.js"):
        (folder / name).write_text("")
    provider = {**TAKEN_OVER["Providers"][0], "transformer": {"use": ["mine-alone"]}}
    document = {
        "providers": [provider],
        "transformers": [
            {"path": "own.js"},
            {"path": "$FOLDER/with-variable.js"},
            {"path": "$FOLDER/x.js"},
            {"path": "$NOT_SET/own.js"},
            {"path": "~/none-such.js"},
        ],
        "CUSTOM_ROUTER_PATH": "/nowhere/router.js",
        "REWRITE_SYSTEM_PROMPT": "/nowhere/prompt.md",
        "fallback": {"default": ["open,c"], "think": []},
        "Router": {"default": "other,x"},
    }
    (folder / "config.json").write_text(json.dumps(document))
    done = CliRunner().invoke(cli, ["import", str(folder), "--yes"], env={"FOLDER": str(folder)})
    written = json.loads((home / "config.json").read_text())
    assert [each["path"] for each in written["transformers"]] == [
        str(folder / "own.js"),
        "$FOLDER/with-variable.js",
    ]
    assert "$FOLDER/x.js is not there" in done.output
    assert "$NOT_SET/own.js is not there" in done.output
    assert "The custom router /nowhere/router.js is not there" in done.output
    assert "The system prompt /nowhere/prompt.md is not there" in done.output
    assert "~/none-such.js is not there" in done.output
    assert "Router.default is open,a/b, the first model" in done.output


def test_a_database_of_an_earlier_version_3_and_odd_values(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.sqlite"
    settings = {**SETTINGS, "Providers": [*SETTINGS["Providers"][:1], "odd"], "profile": 3, "Router": []}
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE app_config (key TEXT PRIMARY KEY, value_json TEXT, updated_at TEXT)")
        made.execute("INSERT INTO app_config VALUES ('default', ?, '')", [json.dumps(settings)])
    run(str(path), "--yes")
    assert written(home)["Router"] == {"default": "open,a/b"}
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("UPDATE app_config SET value_json = '{'")
    with pytest.raises(StartError, match="holds no configuration"):
        run(str(path))


def test_a_file_that_cannot_be_kept_as_it_is(home: Path) -> None:
    (home / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="JSON"):
        run()


README = {
    "HOST": "0.0.0.0",  # noqa: S104 - taken out
    "APIKEY": "a-client-key-secret-of-many-characters",
    "PORT": "many",
    "PROXY_URL": "$A_PROXY",
    "forceUseImageAgent": True,
    "Providers": [
        {
            "name": "lan",
            "api_base_url": "http://192.168.1.7/v1/chat/completions",
            "api_key": "x",
            "models": ["l"],
        },
        {"name": "nokey", "api_base_url": URL, "api_key": "", "models": ["n"]},
        "odd",
        {"name": "base", "api_base_url": "$A_BASE/chat/completions", "api_key": "$A_KEY", "models": ["b"]},
        {"name": "my own", "api_base_url": URL, "api_key": "own-secret", "models": ["o"]},
        {"name": "My Own", "api_base_url": URL, "api_key": "own-secret", "models": ["p"]},
    ],
    "Router": {
        "default": "base,b",
        "think": "$A_ROUTE",
        "image": ["lan,l", "my own,o"],
        "webSearch": "nokey,n",
    },
    "fallback": {"default": ["$A_ROUTE", "lan,l"]},
}


def test_whatever_would_stop_the_start_is_taken_out_and_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(README))
    output = run(str(tmp_path / "config.json"), "--yes").output
    document = written(home)
    assert [each["name"] for each in document["Providers"]] == ["base", "my own"]
    assert document["Router"] == {"default": "base,b", "think": "$A_ROUTE", "image": ["my own,o"]}
    assert document["fallback"] == {"default": ["$A_ROUTE"]}
    assert "PORT" not in document
    for sentence in (
        'other machines need "ALLOW_REMOTE": true',
        "The provider lan was left out: api_base_url: found http to another machine",
        "The provider nokey was left out: api_key: found an empty text",
        "The provider without a name was left out: found a text",
        "The provider My Own was left out: name: found 'My Own' a second time",
        "PORT was left out: found 'many'",
        "Router.image[0] was left out: found 'lan,l'",
        "Router.webSearch leads to nokey,n",
        "A_BASE has to be set",
        "A_KEY has to be set",
        "A_PROXY has to be set",
    ):
        assert sentence in output, sentence
    values = {"A_BASE": URL, "A_KEY": "k", "A_ROUTE": "my own,o", "A_PROXY": "http://127.0.0.1:1"}
    done = CliRunner().invoke(cli, ["config", "check"], env=values)
    assert done.exit_code == 0, done.output


def test_a_provider_in_a_dialect_that_ccr_does_not_speak_is_left_out_whole(
    home: Path, tmp_path: Path
) -> None:
    google = {
        "name": "google",
        "api_base_url": "https://g.example/v1beta/models/",
        "api_key": "g",
        "models": ["f"],
    }
    providers = [
        {**TAKEN_OVER["Providers"][0], "transformer": {"use": ["openrouter"]}},
        {**google, "transformer": {"use": [["gemini", {}]]}},
        {**google, "name": "partly", "transformer": {"use": [], "f": {"use": ["openai-responses"]}}},
    ]
    devbox = [{"path": "databricks-claude.js", "options": {"debug": True}}]
    document = {
        "Providers": providers,
        "Router": {"default": "open,c", "think": "google,f"},
        "transformers": devbox,
    }
    (tmp_path / "config.json").write_text(json.dumps(document))
    output = run(str(tmp_path / "config.json"), "--yes").output
    assert (
        "The provider google was left out: it needs the transformer gemini, which is not there yet." in output
    )
    assert "The provider partly was left out: it needs the transformer openai-responses" in output
    assert [each["name"] for each in written(home)["Providers"]] == ["open"]
    assert written(home)["Router"] == {"default": "open,c"}
    assert written(home)["transformers"] == [{**devbox[0], "path": f"{tmp_path}/databricks-claude.js"}]


def test_nothing_usable_is_a_problem_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"Providers": [{"name": "x"}]}))
    with pytest.raises(ConfigError, match="at least one provider"):
        run(str(tmp_path / "config.json"), "--yes")
    assert not (home / "config.json").exists()
