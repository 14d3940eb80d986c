"""What claude finds in its environment, variable by variable."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest

from ccr.config.model import Config, Provider, Router, Secret
from ccr.launcher.environment import Changes, Target, claude_changes, claude_environment
from ccr.launcher.launch import target_of
from ccr.launcher.shell import lines_from_changes, shell_of

TARGET = Target(
    base_url="http://127.0.0.1:3456",
    key=Secret("local-key"),
    model="databricks-claude-sonnet-4-5",
    context_tokens=200_000,
)


def test_a_bare_environment() -> None:
    assert claude_environment({"PATH": "/bin"}, TARGET) == {
        "PATH": "/bin",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:3456",
        "ANTHROPIC_AUTH_TOKEN": "local-key",
        "API_TIMEOUT_MS": "600000",
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": "600000",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_1M_CONTEXT": "1",
        "DISABLE_TELEMETRY": "true",
        "DISABLE_COST_WARNINGS": "true",
        "ANTHROPIC_MODEL": "databricks-claude-sonnet-4-5",
        "ANTHROPIC_DEFAULT_OPUS_MODEL": "databricks-claude-sonnet-4-5",
        "ANTHROPIC_DEFAULT_SONNET_MODEL": "databricks-claude-sonnet-4-5",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "databricks-claude-sonnet-4-5",
        "ANTHROPIC_DEFAULT_FABLE_MODEL": "databricks-claude-sonnet-4-5",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "CCR_ENV": claude_environment({}, TARGET)["CCR_ENV"],
    }


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_MANTLE",
        "CLAUDE_CODE_USE_ANTHROPIC_AWS",
        "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
    ],
)
def test_what_would_lead_past_us_goes(name: str) -> None:
    assert name not in claude_environment({name: "1"}, TARGET)
    assert claude_changes({name: "1"}, TARGET).removed == (name,)


def test_the_small_fast_model_is_the_clients_for_background_work() -> None:
    environment = claude_environment({}, replace(TARGET, small_fast_model="small"))
    assert environment["ANTHROPIC_SMALL_FAST_MODEL"] == "small"
    assert environment["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "small"


def test_scripts_are_told_that_nobody_watches() -> None:
    target = replace(TARGET, is_interactive=False)
    assert claude_environment({"TERM": "xterm"}, target)["TERM"] == "dumb"
    assert "TERM" not in claude_changes({"TERM": "xterm"}, target).values  # `ccr env` is for a person's shell


@pytest.mark.parametrize("name", ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"])
def test_what_must_be_ours_is(name: str) -> None:
    assert claude_environment({name: "theirs"}, TARGET)[name] != "theirs"


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        "API_TIMEOUT_MS",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_DISABLE_1M_CONTEXT",
        "DISABLE_TELEMETRY",
    ],
)
def test_what_the_person_has_set_wins(name: str) -> None:
    assert claude_environment({name: "theirs"}, TARGET)[name] == "theirs"
    assert claude_environment({name: ""}, TARGET)[name] not in ("", "theirs")


@pytest.mark.parametrize(
    ("context_tokens", "value"),
    [(None, "1"), (200_000, "1"), (999_999, "1"), (1_000_000, None), (2_000_000, None)],
)
def test_the_large_window_only_where_there_is_one(context_tokens: int | None, value: str | None) -> None:
    target = Target(base_url="http://h:1", key=Secret("k"), context_tokens=context_tokens)
    assert claude_environment({}, target).get("CLAUDE_CODE_DISABLE_1M_CONTEXT") == value


@pytest.mark.parametrize(("timeout_s", "idle_ms"), [(1.0, "300000"), (600.0, "600000"), (3600.0, "3600000")])
def test_the_client_waits_as_long_as_we_do(timeout_s: float, idle_ms: str) -> None:
    target = Target(base_url="http://h:1", key=Secret("k"), api_timeout_s=timeout_s)
    environment = claude_environment({}, target)
    assert environment["CLAUDE_STREAM_IDLE_TIMEOUT_MS"] == idle_ms
    assert environment["API_TIMEOUT_MS"] == str(int(timeout_s * 1000))


@pytest.mark.parametrize(
    ("environ", "upper", "lower"),
    [
        ({"NO_PROXY": "a.test"}, "a.test,127.0.0.1,localhost", "a.test,127.0.0.1,localhost"),
        ({"no_proxy": "a.test, localhost"}, "a.test,localhost,127.0.0.1", "a.test,localhost,127.0.0.1"),
        ({"NO_PROXY": "a", "no_proxy": "b,"}, "a,127.0.0.1,localhost", "b,127.0.0.1,localhost"),
        ({"NO_PROXY": "127.0.0.1,localhost"}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
    ],
)
def test_no_proxy_is_extended(environ: dict[str, str], upper: str, lower: str) -> None:
    environment = claude_environment(environ, TARGET)
    assert (environment["NO_PROXY"], environment["no_proxy"]) == (upper, lower)


def test_the_service_s_own_host_needs_no_proxy() -> None:
    target = Target(base_url="http://10.0.0.7:3456", key=Secret("k"))
    assert claude_environment({}, target)["NO_PROXY"] == "10.0.0.7,127.0.0.1,localhost"


def test_the_given_environment_stays_as_it_is() -> None:
    environ = {"ANTHROPIC_API_KEY": "x", "NO_PROXY": "a"}
    claude_environment(environ, TARGET)
    assert environ == {"ANTHROPIC_API_KEY": "x", "NO_PROXY": "a"}


def test_what_an_earlier_call_set_is_not_taken_for_the_person_s_own() -> None:
    first = claude_environment({}, TARGET)
    other = Target(base_url="http://127.0.0.1:4000", key=Secret("k"), model="opus", context_tokens=1_000_000)
    second = claude_environment(first, other)
    assert second["ANTHROPIC_MODEL"] == "opus"
    assert "CLAUDE_CODE_DISABLE_1M_CONTEXT" not in second
    changed = {**first, "ANTHROPIC_MODEL": "mine"}
    assert claude_environment(changed, other)["ANTHROPIC_MODEL"] == "mine"


@pytest.mark.parametrize("value", ["", "x", "[]", "[" * 10_000, '{"ANTHROPIC_MODEL": 5}'])
def test_a_damaged_memory_of_earlier_calls(value: str) -> None:
    environment = claude_environment({"CCR_ENV": value, "ANTHROPIC_MODEL": "mine"}, TARGET)
    assert environment["ANTHROPIC_MODEL"] == "mine"


def configured(default: str | None, *models: str, **others: tuple[str, ...]) -> Config:
    providers = tuple(
        Provider(name=name, url="https://h/v1", api_key=None, models=listed)
        for name, listed in {"p": models, **others}.items()
    )
    return Config(providers=providers, router=Router(default=default), api_timeout_s=5)


@pytest.mark.parametrize(
    ("route", "model"),
    [("p,databricks-claude-sonnet-4", "databricks-claude-sonnet-4"), ("p,a,b", "p,a,b"), (None, None)],
)
def test_the_target_of_a_configuration(route: str | None, model: str | None) -> None:
    config = configured(route, "databricks-claude-sonnet-4", "a,b")
    target = target_of(config, "http://h:1", Secret("k"))
    assert (target.base_url, target.key, target.model, target.api_timeout_s) == (
        "http://h:1",
        Secret("k"),
        model,
        5,
    )


SONNET, OPUS, HAIKU = (
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
)


@pytest.mark.parametrize(
    ("config", "opus", "sonnet", "haiku", "context_tokens"),
    [
        (configured(f"p,{SONNET}", SONNET), SONNET, SONNET, SONNET, 1_000_000),
        (configured(f"p,{SONNET}", SONNET, OPUS, HAIKU), OPUS, SONNET, HAIKU, 1_000_000),
        (configured(f"p,{OPUS}", SONNET, OPUS), OPUS, SONNET, OPUS, 1_000_000),
        (configured(f"p,{HAIKU}", HAIKU, OPUS), OPUS, HAIKU, HAIKU, 200_000),
        (configured(f"p,{SONNET}", SONNET, "dbx-opus-4-5"), "dbx-opus-4-5", SONNET, SONNET, 200_000),
        (configured("p,databricks-gpt-5", "databricks-gpt-5", OPUS), *["databricks-gpt-5"] * 3, 0),
        (
            configured(f"q,{SONNET}", SONNET, q=(SONNET, OPUS)),
            OPUS,
            f"q,{SONNET}",
            f"q,{SONNET}",
            1_000_000,
        ),
    ],
)
def test_each_alias_gets_the_best_model_of_its_family(
    config: Config, opus: str, sonnet: str, haiku: str, context_tokens: int
) -> None:
    target = target_of(config, "http://h:1", Secret("k"))
    environment = claude_environment({}, target)
    assert environment["ANTHROPIC_DEFAULT_OPUS_MODEL"] == opus
    assert environment["ANTHROPIC_DEFAULT_SONNET_MODEL"] == sonnet
    assert environment["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == haiku
    assert environment["ANTHROPIC_DEFAULT_FABLE_MODEL"] == environment["ANTHROPIC_MODEL"], (
        "none is configured"
    )
    assert target.context_tokens == context_tokens
    assert ("CLAUDE_CODE_DISABLE_1M_CONTEXT" in environment) is (context_tokens < 1_000_000)


@pytest.mark.parametrize(
    ("shell", "name"), [("/bin/zsh", "zsh"), ("/usr/bin/fish", "fish"), ("/bin/sh", "bash"), ("", "bash")]
)
def test_the_shell_of_the_person(shell: str, name: str) -> None:
    assert shell_of({"SHELL": shell}) == name
    assert shell_of({}) == "bash"


ODD = """a'b "c" $HOME `id` \\ ; & é"""


def test_lines_for_fish() -> None:
    changes = Changes({"A": ODD}, ("B",))
    assert lines_from_changes(changes, "fish", with_alias=True) == [
        "set -e B;",
        """set -gx A 'a\\'b "c" $HOME `id` \\\\ ; & é';""",
        "alias cc 'ccr code';",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_lines_for_bash_and_zsh_survive_the_shell(shell: str) -> None:
    lines = lines_from_changes(Changes({"A": ODD, "C": ""}, ("B",)), "zsh" if shell == "zsh" else "bash")
    assert shlex.split(lines[1]) == ["export", f"A={ODD}"]
    program = shutil.which("bash") or "/bin/sh"
    script = "\n".join([*lines, "env"])
    done = subprocess.run([program, "-c", script], env={"B": "x"}, capture_output=True, text=True, check=True)
    shown = done.stdout.splitlines()
    assert f"A={ODD}" in shown
    assert "C=" in shown
    assert not any(line.startswith("B=") for line in shown)


def test_the_alias_only_when_asked_for() -> None:
    assert "alias cc='ccr code'" in lines_from_changes(Changes(), "bash", with_alias=True)
    assert lines_from_changes(Changes(), "bash") == []
    assert lines_from_changes(Changes(), "fish") == []


def test_the_memory_holds_no_key() -> None:
    assert "local-key" not in json.dumps(json.loads(claude_environment({}, TARGET)["CCR_ENV"]))
