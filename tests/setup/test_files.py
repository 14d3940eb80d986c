"""Who, documents, shell files, npm: the pure parts of set-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccr.errors import ConfigError, StartError
from ccr.setup import npm, plan
from ccr.setup.document import Entry, document_with, masked, models_in
from ccr.setup.plan import content_of, write_kept
from ccr.setup.profiles import hosts_of_profiles
from ccr.setup.shell_files import alias_changes, ccr_command, with_block
from ccr.setup.who import Asked, Who, host_of, who_calls

URL = "https://dbc.example.com"
SECRET_PAIR = {"DATABRICKS_CLIENT_ID": "id", "DATABRICKS_CLIENT_SECRET": "secret"}
TWO = {"DEFAULT": "https://one.example.com", "dev": URL}


@pytest.mark.parametrize(
    ("asked", "environ", "profiles", "url"),
    [
        (Asked(host="dbc.example.com"), {}, {}, URL),
        (Asked(profile="dev"), {"DATABRICKS_HOST": "other.example.com"}, TWO, URL),
        (Asked(), {"DATABRICKS_HOST": "dbc.example.com"}, TWO, URL),
        (Asked(), {"DATABRICKS_CONFIG_PROFILE": "dev"}, TWO, URL),
        (Asked(), {}, TWO, "https://one.example.com"),
        (Asked(), {}, {"only": URL}, URL),
        (Asked(), {}, {"a": URL, "b": URL}, None),
        (Asked(), {}, {}, None),
    ],
)
def test_where(asked: Asked, environ: dict[str, str], profiles: dict[str, str], url: str | None) -> None:
    assert host_of(asked, environ, profiles) == url


@pytest.mark.parametrize(
    ("asked", "environ"),
    [
        (Asked(host="ftp://x"), {}),
        (Asked(profile="gone"), {}),
        (Asked(), {"DATABRICKS_HOST": "http://x.example.com"}),
    ],
)
def test_nowhere(asked: Asked, environ: dict[str, str]) -> None:
    with pytest.raises(StartError):
        host_of(asked, environ, TWO)


@pytest.mark.parametrize(
    ("asked", "environ", "keys"),
    [
        (Asked(token_env="MINE"), {"MINE": "t"}, {"api_key": "$MINE"}),
        (Asked(profile="dev"), {}, {"api_key": "auto", "profile": "dev"}),
        (Asked(auth="auto"), {}, {"api_key": "auto"}),
        (Asked(auth="databricks-cli"), {}, {"api_key": "auto", "auth_type": "databricks-cli"}),
        (Asked(), {"DATABRICKS_TOKEN": "t"}, {"api_key": "$DATABRICKS_TOKEN"}),
        (Asked(), SECRET_PAIR, {"api_key": "auto"}),
        (
            Asked(),
            {**SECRET_PAIR, "DATABRICKS_TOKEN": "t", "DATABRICKS_AUTH_TYPE": "pat"},
            {"api_key": "$DATABRICKS_TOKEN"},
        ),
        (
            Asked(),
            {**SECRET_PAIR, "DATABRICKS_TOKEN": "t", "DATABRICKS_AUTH_TYPE": "oauth-m2m"},
            {"api_key": "auto", "auth_type": "oauth-m2m"},
        ),
        (Asked(), {"DATABRICKS_AUTH_TYPE": "azure-cli"}, {"api_key": "auto"}),
        (Asked(), {}, {"api_key": "auto", "profile": "dev"}),
        (Asked(), {"DATABRICKS_CONFIG_PROFILE": "dev"}, {"api_key": "auto", "profile": "dev"}),
    ],
)
def test_who(asked: Asked, environ: dict[str, str], keys: dict[str, str]) -> None:
    who = who_calls(asked, URL, environ, TWO)
    assert who is not None
    assert who.keys == keys


def test_who_of_several_and_of_none() -> None:
    assert who_calls(Asked(), URL, {}, {}) is None
    same = {"a": URL, "DEFAULT": URL}
    assert who_calls(Asked(), URL, {}, same) == Who(
        {"api_key": "auto", "profile": "DEFAULT"}, "profile DEFAULT"
    )
    both = {**SECRET_PAIR, "DATABRICKS_TOKEN": "t"}
    with pytest.raises(StartError, match="two identities"):
        who_calls(Asked(), URL, both, {})
    who = who_calls(Asked(), URL, both, {}, prefers_principal=True)
    assert who is not None
    assert who.keys == {"api_key": "auto", "auth_type": "oauth-m2m"}


@pytest.mark.parametrize(("name", "words"), [("dapi123", "not a token"), ("NOT_SET", "is not set")])
def test_a_variable_is_named_not_its_value(name: str, words: str) -> None:
    with pytest.raises(StartError, match=words):
        who_calls(Asked(token_env=name), URL, {}, {})


def test_profiles(tmp_path: Path) -> None:
    assert hosts_of_profiles({"HOME": str(tmp_path)}) == {}
    (tmp_path / ".databrickscfg").write_text(
        "[DEFAULT]\nhost = dbc.example.com\ntoken = 100%\n[none]\nclient_id = x\n[dev]\nhost=https://dev.example.com/\n"
    )
    expected = {"DEFAULT": URL, "dev": "https://dev.example.com"}
    assert hosts_of_profiles({"HOME": str(tmp_path)}) == expected
    (tmp_path / "other").write_text("no section")
    with pytest.raises(ConfigError, match="line 1"):
        hosts_of_profiles({"DATABRICKS_CONFIG_FILE": str(tmp_path / "other")})


def test_documents() -> None:
    entry = Entry("p", URL, ("a b", "c"), {"api_key": "auto"}, "chat")
    found = document_with({"providers": [{"name": "q"}, "odd"], "Router": "odd"}, entry)
    assert [each if isinstance(each, str) else each["name"] for each in found["providers"]] == [
        "q",
        "odd",
        "p",
    ]
    assert found["providers"][2]["api_base_url"] == f"{URL}/serving-endpoints/a%20b/invocations"
    assert found["Router"] == {"default": "p,a b"}
    assert models_in(found, "P", URL) == ["a b", "c"]
    assert models_in(found, "P", "https://other.example.com") == []
    assert models_in(found, "q", URL) == []
    assert models_in({"Providers": 1}, "q", URL) == []
    kept = document_with({"Router": {"default": "P, c"}}, entry)
    assert kept["Router"] == {"default": "P, c"}


def test_the_native_route() -> None:
    entry = Entry("p", URL, ("m",), {}, "anthropic")
    provider = document_with({}, entry)["Providers"][0]
    assert provider["api_base_url"] == f"{URL}/serving-endpoints/anthropic/v1/messages"
    assert "transformer" not in provider


def test_an_old_word_for_the_route_does_not_stay_beside_a_new_url() -> None:
    old = {"Providers": [{"name": "databricks", "api": "chat", "max_tokens": 9}]}
    entry = Entry("databricks", "https://adb-1.azuredatabricks.net", ("m",), {}, api="anthropic")
    (provider,) = document_with(old, entry)["Providers"]
    assert "api" not in provider
    assert provider["max_tokens"] == 9


def test_secrets_are_masked() -> None:
    value: Any = {
        "APIKEY": "abc",
        "PROXY_URL": "http://u:p@x",
        "Providers": [{"api_key": "$VAR", "note": "dapi0123456789abcdef"}, {"api_key": "auto"}],
        "keys": ["a", 1],
    }
    assert masked(value) == {
        "APIKEY": "***",
        "PROXY_URL": "***",
        "Providers": [{"api_key": "$VAR", "note": "***"}, {"api_key": "auto"}],
        "keys": ["***", 1],
    }


def test_headers_and_the_paths_of_addresses_are_masked() -> None:
    value: Any = {
        "headers": {"X-Team": "abc", "X-Open": "$TEAM", "X-More": ["x"]},
        "url": "https://hooks.example/services/T0",
        "a": {"url": "https://h?x=1"},
        "b": [{"url": "https://h/"}, {"url": "$HOOK"}, {"url": "http://[h"}, {"url": "/path"}],
        "api_base_url": "https://h/x",
    }
    assert masked(value) == {
        "headers": {"X-Team": "***", "X-Open": "$TEAM", "X-More": ["***"]},
        "url": "https://hooks.example/***",
        "a": {"url": "https://h/***"},
        "b": [{"url": "https://h/"}, {"url": "$HOOK"}, {"url": "***"}, {"url": "/path"}],
        "api_base_url": "https://h/x",
    }


def test_blocks_are_written_once_and_renewed() -> None:
    once = with_block("export A=1", "ccr", "bash")
    assert once == 'export A=1\n# >>> ccr >>>\nalias cc="ccr code"\n# <<< ccr <<<\n'
    assert with_block(once, "ccr", "bash") == once
    renewed = with_block(once + "export B=2\n" + once, "'/a b/ccr'", "bash")
    assert renewed.count("alias") == 1
    assert "alias cc=\"'/a b/ccr' code\"" in renewed
    assert 'alias cc "ccr code"' in with_block("", "ccr", "fish")


def test_the_shell_files_that_are_there(tmp_path: Path) -> None:
    environ = {"SHELL": "/usr/bin/fish", "PATH": "/nowhere"}
    (tmp_path / ".bashrc").write_bytes(b"# \xff\n")
    changes = alias_changes(environ, tmp_path)
    assert [change.path.name for change in changes] == [".bashrc", "config.fish"]
    assert changes[0].new.startswith(b"# \xff\n# >>> ccr")
    assert ccr_command(environ).endswith("/ccr")


def test_files_keep_their_mode_and_links(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_kept(file, b"1", mode=0o640)
    assert file.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link"
    link.symlink_to(file)
    write_kept(link, b"2")
    assert (link.is_symlink(), file.read_bytes(), file.stat().st_mode & 0o777) == (True, b"2", 0o640)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_kept(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartError, match="cannot be read"):
        content_of(tmp_path)
    monkeypatch.setattr(plan, "MAX_FILE_BYTES", 1)
    (tmp_path / "large").write_bytes(b"12")
    with pytest.raises(StartError, match="larger than"):
        content_of(tmp_path / "large")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "npm is not installed"),
        ("echo no network >&2; exit 3", "no network"),
        ("exec sleep 9", "did not end"),
    ],
)
def test_npm_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, words: str
) -> None:
    monkeypatch.setattr(npm, "WAIT_S", 0.3)
    if script is not None:
        (tmp_path / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "npm").chmod(0o755)
    path = str(tmp_path) if script is None else f"{tmp_path}:/usr/bin:/bin"
    with pytest.raises(StartError, match=words):
        npm.install_claude({"PATH": path})


def test_npm_that_installs_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "npm").chmod(0o755)
    assert "not on PATH" in npm.install_claude({"PATH": str(tmp_path)})


def test_ccr_is_called_by_its_name_where_it_is_on_path(tmp_path: Path) -> None:
    (tmp_path / "ccr").write_text("#!/bin/sh\n")
    (tmp_path / "ccr").chmod(0o755)
    assert ccr_command({"PATH": str(tmp_path)}) == "ccr"
