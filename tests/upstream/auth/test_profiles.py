"""``~/.databrickscfg``: what is read of it, and what is said of one that cannot be read."""

from __future__ import annotations

import pytest

from ccr.errors import ConfigError
from ccr.upstream.auth.profiles import Profiles, profiles_from_text, read_profiles

CANARY = "canary-1234567890"


def test_profiles_lend_each_other_nothing() -> None:
    profiles = profiles_from_text(
        "\ufeff; a comment\n[DEFAULT]\nHOST = https://a\ntoken=%(x)s\n\n[b]\nhost : https://b\ntoken =\n", "f"
    )
    assert profiles.named == {
        "DEFAULT": {"host": "https://a", "token": "%(x)s"},
        "b": {"host": "https://b"},
    }
    assert profiles.default == "DEFAULT"
    assert "%(x)s" not in repr(profiles)


def test_the_settings_section_is_no_profile_and_names_the_default_one() -> None:
    profiles = profiles_from_text("[__settings__]\ndefault_profile = b\n[b]\nhost = h", "f")
    assert profiles.default == "b"
    assert list(profiles.named) == ["b"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"token = {CANARY}\n", "line 1"),
        (f"[a]\n{CANARY}\n[b]\nand {CANARY}\n", "line 2, 4"),
        (f"[a]\ntoken = {CANARY}\ntoken = {CANARY}", "[a] token: found the key a second time"),
        (f"[a]\ntoken = {CANARY}\n[a]\n", "[a]: found the profile a second time"),
    ],
)
def test_a_fault_is_named_by_its_line_and_never_quoted(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profiles_from_text(text, "~/.databrickscfg")
    assert where in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("environ", "path", "shown"),
    [
        ({"HOME": "/home/p"}, "/home/p/.databrickscfg", "~/.databrickscfg"),
        ({"USERPROFILE": "C:\\Users\\p"}, "C:\\Users\\p\\.databrickscfg", "~/.databrickscfg"),
        ({"HOME": "/home/p", "DATABRICKS_CONFIG_FILE": "~/x/cfg"}, "/home/p/x/cfg", "~/x/cfg"),
        ({"HOME": "/home/p", "DATABRICKS_CONFIG_FILE": "/etc/cfg"}, "/etc/cfg", "/etc/cfg"),
        ({"DATABRICKS_CONFIG_FILE": "~/cfg"}, "~/cfg", "~/cfg"),
    ],
)
def test_where_the_file_is(environ: dict[str, str], path: str, shown: str) -> None:
    asked: list[str] = []

    def read_file(name: str) -> str:
        asked.append(name)
        return "[a]\nhost = h"

    profiles = read_profiles(environ, read_file)
    assert asked == [path]
    assert profiles == Profiles(shown, exists=True, named={"a": {"host": "h"}})


@pytest.mark.parametrize(
    "error", [PermissionError(13, "no"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
)
def test_a_file_that_cannot_be_read_is_a_problem(error: Exception) -> None:
    def read_file(_name: str) -> str:
        raise error

    with pytest.raises(ConfigError, match=type(error).__name__):
        read_profiles({"HOME": "/home/p"}, read_file)
