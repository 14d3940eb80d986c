"""config.json as people write it: what it means, and every way it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccr.config.load import config_from_bytes, load_config
from ccr.config.model import Config, Secret, Step
from ccr.config.paths import Paths
from ccr.errors import ConfigError, Problem, StartError
from ccr.transformers.registry import build

FIXTURES = Path(__file__).with_name("fixtures")
PROVIDER: dict[str, Any] = {
    "name": "databricks",
    "api_base_url": "https://adb-1.azuredatabricks.net/serving-endpoints/m/invocations",
    "api_key": "canary-provider-key",
    "models": ["m", "n"],
}
ANYWHERE = "0.0.0.0"  # noqa: S104 - never bound here
GOOD: dict[str, Any] = {"Providers": [PROVIDER], "Router": {"default": "databricks,m"}}


def load(values: Any, environ: dict[str, str] | None = None) -> Config:
    data = values if isinstance(values, bytes) else json.dumps(values).encode()
    return config_from_bytes(data, environ or {}, check_step=build)


def problems(values: Any, environ: dict[str, str] | None = None) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        load(values, environ)
    every = {problem.key: problem for problem in caught.value.problems}
    assert len(every) == len(caught.value.problems), "one problem a key"
    return every


def with_provider(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "Providers": [{**PROVIDER, **changes}]}


def test_the_least_configuration_gets_the_documented_defaults() -> None:
    config = load(GOOD)
    assert (config.host, config.port, config.auth, config.api_key) == ("127.0.0.1", 3456, "key", None)
    assert (config.log, config.log_level, config.api_timeout_s) == (True, "info", 600.0)
    assert (config.claude_path, config.proxy_url, config.status_line) == (None, None, None)
    assert config.warnings == config.notes == ()


def test_the_file_of_databricks_devbox_works_unchanged() -> None:
    config = load((FIXTURES / "devbox.json").read_bytes())
    assert config.warnings == ()
    (note,) = config.notes
    assert "databricks-transformer.js: databricks-custom is built in" in note
    (provider,) = config.providers
    chain = (Step(name="OpenAI"), Step(name="databricks-custom", options={"debug": True}))
    assert provider.steps == chain
    assert provider.model_steps == {"databricks-claude-sonnet-4": chain}
    assert provider.api_key == Secret("dapi-not-a-real-token")
    assert config.router.default == "databricks,databricks-claude-sonnet-4"
    assert config.log_level == "debug"
    assert (config.claude_path, config.api_key, config.proxy_url) == (None, None, None)


@pytest.mark.parametrize(
    ("key", "written", "field", "meant"),
    [
        ("PORT", "3457", "port", 3457),
        ("PORT", 0, "port", 0),
        ("PORT", 3458.0, "port", 3458),
        ("PORT", "", "port", 3456),
        ("PORT", None, "port", 3456),
        ("API_TIMEOUT_MS", "1500", "api_timeout_s", 1.5),
        ("API_TIMEOUT_MS", 60000, "api_timeout_s", 60.0),
        ("STOP_TIMEOUT_MS", "0", "stop_timeout_s", 0.0),
        ("STOP_TIMEOUT_MS", 120000, "stop_timeout_s", 120.0),
        ("LOG", "false", "log", False),
        ("LOG", " TRUE ", "log", True),
        ("LOG", False, "log", False),
        ("LOG", "", "log", True),
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("LOG_LEVEL", "", "log_level", "info"),
        ("CLAUDE_PATH", " /opt/claude ", "claude_path", "/opt/claude"),
        ("HOST", "localhost", "host", "localhost"),
        ("HOST", "", "host", "127.0.0.1"),
        ("APIKEY", "short", "api_key", Secret("short")),
        ("PROXY_URL", "http://u:p@proxy:8080", "proxy_url", Secret("http://u:p@proxy:8080")),
        ("httpsProxy", "http://proxy:8080", "proxy_url", Secret("http://proxy:8080")),
        ("StatusLine", {"enabled": False}, "status_line", {"enabled": False}),
        ("$schema", "x", "warnings", ()),
        ("providers", [], "port", 3456),
    ],
)
def test_values_and_their_tolerated_forms(key: str, written: Any, field: str, meant: Any) -> None:
    assert getattr(load({**GOOD, key: written}), field) == meant


def test_the_lower_case_spelling_of_providers() -> None:
    config = load({"providers": [PROVIDER], "Router": {"default": "databricks,n"}})
    assert [provider.name for provider in config.providers] == ["databricks"]


@pytest.mark.parametrize("written", ["databricks,m", "DataBricks,M", " databricks , m "])
def test_the_default_route_takes_the_spelling_of_providers(written: str) -> None:
    assert load({**GOOD, "Router": {"default": written}}).router.default == "databricks,m"


@pytest.mark.parametrize("name", ["my provider", "team/open", "供应商"])
def test_a_name_of_a_provider_may_hold_what_the_npm_router_takes(name: str) -> None:
    config = load({**with_provider(name=name), "Router": {"default": f"{name.upper()}, m"}})
    assert config.router.default == f"{name},m"


def test_without_a_key_only_this_machine_is_let_in() -> None:
    config = load({**GOOD, "HOST": ANYWHERE})
    assert config.host == "127.0.0.1"
    warnings = " ".join(config.warnings)
    assert "HOST has no effect: only this machine is let in (127.0.0.1)" in warnings
    assert "an APIKEY of at least 24 characters" in warnings
    assert "ALLOW_REMOTE" in warnings


def test_a_model_name_may_hold_commas_and_slashes() -> None:
    config = load({**with_provider(models=["org/a,b"]), "Router": {"default": "databricks,org/a,b"}})
    assert config.router.default == "databricks,org/a,b"


@pytest.mark.parametrize(
    "text",
    [
        '// a comment\n{"Providers": [%s,], /* and\n another */ "Router": {"default": "databricks,m",},}',
        "{Providers: [%s], Router: {default: 'databricks,m'}}",
        '\ufeff{"Providers": [%s], "Router": {"default": "databricks,m"}}',
    ],
)
def test_comments_trailing_commas_and_the_rest_of_json5(text: str) -> None:
    config = load((text % json.dumps(PROVIDER)).encode())
    assert config.providers[0].url == PROVIDER["api_base_url"], "// inside a text is no comment"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"  \n", "an empty file"),
        (b'{"a": ]', 'text that is not JSON, at line 1, column 7: unexpected "]"'),
        (b'{"APIKEY": canary-secret}', 'text that is not JSON, at line 1, column 12: unexpected "c"'),
        (b'{"a": 1 "b": 2}', "text that is not JSON, at line 1, column 9: unexpected '\"'"),
        (b'{"a": 1,\n', "text that is not JSON, at line 2, column 1: unexpected end of input"),
        (b"\xff\xfe{", "bytes that are not UTF-8, at byte 0"),
        (b"[" * 100_000, "objects or lists nested too deeply"),
        (b"[]", "an empty list"),
        (b'"x"', "a text"),
        (b"12", "a number"),
        (b"null", "nothing"),
    ],
)
def test_what_is_no_configuration_at_all(data: bytes, found: str) -> None:
    (problem,) = problems(data).values()
    assert (problem.key, problem.found) == ("", found)


@pytest.mark.parametrize(
    ("values", "key", "found", "allowed"),
    [
        ({"Router": {}}, "Providers", "nothing", "at least one provider"),
        ({**GOOD, "Providers": []}, "Providers", "an empty list", "at least one provider"),
        ({**GOOD, "Providers": {"a": 1}}, "Providers", "an object", "a list of providers"),
        ({**GOOD, "Providers": ["x"]}, "Providers[0]", "a text", "name, api_base_url, api_key, models"),
        ({**GOOD, "Providers": [PROVIDER, PROVIDER]}, "Providers[1].name", "a second time", "of its own"),
        (with_provider(name=""), "Providers[0].name", "an empty text", "a name"),
        (with_provider(name=7), "Providers[0].name", "a number", "a text"),
        (with_provider(name="a,b"), "Providers[0].name", "'a,b'", "without commas"),
        (with_provider(name="a\nb"), "Providers[0].name", "'a\\nb'", "without commas"),
        (with_provider(api_key=""), "Providers[0].api_key", "an empty text", "$VARIABLE"),
        (
            with_provider(api_key=None, api_base_url="https://h/x"),
            "Providers[0].api_key",
            "nothing",
            "$VARIABLE",
        ),
        (with_provider(api_key={"canary": 1}), "Providers[0].api_key", "an object", "a text"),
        (
            with_provider(api_key="canary with space"),
            "Providers[0].api_key",
            "a text with spaces",
            "one word",
        ),
        (with_provider(models=[]), "Providers[0].models", "an empty list", "at least one model"),
        (with_provider(models=None), "Providers[0].models", "nothing", "at least one model"),
        (with_provider(models="m"), "Providers[0].models", "a text", "a list of model names"),
        (with_provider(models=["m", 3]), "Providers[0].models[1]", "3", "the name of a model"),
        (with_provider(models=["m", "a\r\nb"]), "Providers[0].models[1]", "'a\\r\\nb'", "the name"),
        (with_provider(api_base_url=None), "Providers[0].api_base_url", "nothing", "a full https URL"),
        (with_provider(api_base_url="canary"), "Providers[0].api_base_url", "without https://", "full"),
        (with_provider(api_base_url="ftp://h/x"), "Providers[0].api_base_url", "without https://", "full"),
        (with_provider(api_base_url="https://<w>/x"), "Providers[0].api_base_url", "a placeholder", "full"),
        (with_provider(api_base_url="https:///x"), "Providers[0].api_base_url", "without a host", "full"),
        (with_provider(api_base_url="https://h"), "Providers[0].api_base_url", "without a path", "path"),
        (
            with_provider(api_base_url="https://canary@h/x"),
            "Providers[0].api_base_url",
            "credentials",
            "full",
        ),
        (with_provider(api_base_url="https://h/x#y"), "Providers[0].api_base_url", "#fragment", "full"),
        (with_provider(api_base_url="https://h/x y"), "Providers[0].api_base_url", "characters", "full"),
        (with_provider(api_base_url="https://h:x/y"), "Providers[0].api_base_url", "cannot be read", "full"),
        (with_provider(api_base_url="http://h/x"), "Providers[0].api_base_url", "another machine", "https"),
        (
            with_provider(api_base_url="http://127.evil.test/x"),
            "Providers[0].api_base_url",
            "another",
            "https",
        ),
        (with_provider(transformer=[]), "Providers[0].transformer", "an empty list", "an object"),
        (with_provider(transformer={"use": "OpenAI"}), "Providers[0].transformer.use", "a text", "a list"),
        (
            with_provider(transformer={"use": ["OpenAi"]}),
            "Providers[0].transformer.use[0]",
            "unknown transformer 'OpenAi'",
            "OpenAI, cerebras",
        ),
        (
            with_provider(transformer={"m": {"use": ["OpenAI", ["x", {}, 1]]}}),
            "Providers[0].transformer.m.use[1]",
            "a list",
            '["name", {options}]',
        ),
        (
            with_provider(transformer={"use": [["databricks-custom", {"cache": 1}]]}),
            "Providers[0].transformer.use[0]",
            "unknown option 'cache'",
            "cache_control",
        ),
        (
            with_provider(transformer={"use": [["databricks-custom", {"cache_control": "x"}]]}),
            "Providers[0].transformer.use[0]",
            "cache_control must be",
            "options this transformer knows",
        ),
        ({**GOOD, "Router": None}, "Router.default", "nothing", "databricks,m, databricks,n"),
        ({**GOOD, "Router": {"default": "databricks"}}, "Router.default", "'databricks'", "databricks,m"),
        ({**GOOD, "Router": {"default": "other,m"}}, "Router.default", "'other,m'", "databricks,m"),
        ({**GOOD, "Router": {"default": 5}}, "Router.default", "a number", "provider,model"),
        ({**GOOD, "Router": "databricks,m"}, "Router", "a text", "an object"),
        ({**GOOD, "PORT": 70000}, "PORT", "70000", "0 to 65535"),
        ({**GOOD, "PORT": "http"}, "PORT", "'http'", "a whole number"),
        ({**GOOD, "PORT": True}, "PORT", "true", "a whole number"),
        ({**GOOD, "PORT": 1.5}, "PORT", "1.5", "a whole number"),
        ({**GOOD, "API_TIMEOUT_MS": 0}, "API_TIMEOUT_MS", "0", "from 1"),
        ({**GOOD, "STOP_TIMEOUT_MS": -1}, "STOP_TIMEOUT_MS", "-1", "from 0"),
        ({**GOOD, "LOG": "yes"}, "LOG", "'yes'", "true or false"),
        ({**GOOD, "LOG_LEVEL": "loud"}, "LOG_LEVEL", "'loud'", "fatal, error, warn, info, debug, trace"),
        ({**GOOD, "AUTH": "no"}, "AUTH", "'no'", "key, none"),
        ({**GOOD, "CLAUDE_PATH": 1}, "CLAUDE_PATH", "a number", "the path of claude"),
        ({**GOOD, "APIKEY": "canary\n2"}, "APIKEY", "a text with spaces, line ends", "one word"),
        ({**GOOD, "PROXY_URL": "canary"}, "PROXY_URL", "no URL of a proxy", "http://host:port"),
        ({**GOOD, "PROXY_URL": "socks9://canary:1"}, "PROXY_URL", "no URL of a proxy", "http://host:port"),
        ({**GOOD, "PROXY_URL": "http://h:canary"}, "PROXY_URL", "no URL of a proxy", "http://host:port"),
        (
            {**GOOD, "HOST": ANYWHERE, "ALLOW_REMOTE": True},
            "HOST",
            "'0.0.0.0', open to other machines",
            "at least 24",
        ),
        (
            {**GOOD, "HOST": ANYWHERE, "APIKEY": "canary", "ALLOW_REMOTE": True},
            "HOST",
            "open to other machines",
            "at least 24",
        ),
        (
            {**GOOD, "HOST": "::", "AUTH": "none", "ALLOW_REMOTE": True},
            "AUTH",
            "none, with HOST '::'",
            "only where HOST is",
        ),
        (
            {**GOOD, "HOST": ANYWHERE, "APIKEY": "k" * 24},
            "HOST",
            "open to other machines",
            '"ALLOW_REMOTE": true',
        ),
        ({**GOOD, "transformers": {}}, "transformers", "an empty object", "a list of objects"),
        ({**GOOD, "transformers": ["x.js"]}, "transformers[0]", "a text", "path and options"),
        ({**GOOD, "transformers": [{}]}, "transformers[0].path", "nothing", "the path of a file"),
        (
            {**GOOD, "transformers": [{"path": "/p/gemini-cli.ts"}]},
            "transformers[0].path",
            "'gemini-cli.ts'",
            "ends in .py or .js",
        ),
        ({**GOOD, "StatusLine": []}, "StatusLine", "an empty list", "an object"),
    ],
)
def test_problems(values: Any, key: str, found: str, allowed: str) -> None:
    every = problems(values)
    assert key in every, every
    assert found in every[key].found
    assert allowed in every[key].allowed
    assert "canary" not in str(list(every.values())), "no value of a secret, and no text in a wrong place"


def test_all_problems_come_at_once_with_the_file() -> None:
    broken = {
        "PORT": "x",
        "APIKEY": "$NOT_SET",
        "Providers": [{**PROVIDER, "api_key": "", "models": []}, {**PROVIDER, "api_base_url": "x"}],
        "Router": {"default": "a,b"},
    }
    with pytest.raises(ConfigError) as caught:
        config_from_bytes(json.dumps(broken).encode(), {}, file="/h/config.json")
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems) == 7
    assert all(line.startswith("/h/config.json: ") for line in lines)
    assert "/h/config.json: PORT: found 'x'; allowed: a whole number from 0 to 65535" in lines


@pytest.mark.parametrize(
    ("written", "environ", "meant"),
    [
        ("$DB_TOKEN", {"DB_TOKEN": "t"}, "t"),
        ("${db.token-1}", {"db.token-1": "t"}, "t"),
        ("a$A1-${B}c", {"A1": "x", "B": "y"}, "ax-yc"),
        ("pa$$word", {}, "pa$word"),
        ("$lower$", {}, "$lower$"),
        ("$A", {"A": "$B", "B": "no"}, "$B"),
    ],
)
def test_variables_are_replaced_once(written: str, environ: dict[str, str], meant: str) -> None:
    provider = load(with_provider(api_key=written), environ).providers[0]
    assert provider.api_key == Secret(meant)


def test_variables_are_replaced_everywhere() -> None:
    environ = {"P": "3999", "U": "http://proxy:1", "M": "m", "MODE": "strip", "W": "databricks"}
    values = {
        "PORT": "$P",
        "PROXY_URL": "${U}",
        "transformers": [{"path": "/$W.js", "options": {"cache_control": "$MODE"}}],
        "Providers": [{**PROVIDER, "models": ["$M"], "transformer": {"use": ["databricks-custom"]}}],
        "Router": {"default": "databricks,$M"},
    }
    config = load(values, environ)
    assert (config.port, config.proxy_url) == (3999, Secret("http://proxy:1"))
    assert config.router.default == "databricks,m"
    assert config.providers[0].steps[0].options == {"cache_control": "strip"}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (with_provider(api_key="$NOT_SET"), "Providers[0].api_key"),
        (with_provider(api_base_url="https://${NOT_SET}/x"), "Providers[0].api_base_url"),
        ({**GOOD, "PORT": "$NOT_SET"}, "PORT"),
        ({**GOOD, "Router": {"default": "$NOT_SET"}}, "Router.default"),
        ({**GOOD, "transformers": [{"path": "databricks.js", "options": {"a": ["$NOT_SET"]}}]}, ""),
    ],
)
def test_an_unset_variable_is_one_problem_with_its_name(values: Any, key: str) -> None:
    (problem,) = problems(values).values()
    assert problem.key == (key or "transformers[0].options.a[0]")
    assert problem.found == "the variable NOT_SET, which is not set"


@pytest.mark.parametrize("key", ["PORT", "LOG_LEVEL", "HOST"])
def test_what_came_from_the_environment_is_never_quoted(key: str) -> None:
    every = problems({**GOOD, "ALLOW_REMOTE": True, key: "$X"}, {"X": "canary"})
    assert "from the environment" in every[key].found
    assert "canary" not in str(every)


@pytest.mark.parametrize("token", ["dapi0123456789abcdef", "sk-ant-0123456789abcdef", "A" * 40])
def test_what_looks_like_a_secret_is_never_quoted(token: str) -> None:
    every = problems({**GOOD, "Router": {"default": token}})
    assert every["Router.default"].found == "a text that looks like a secret"


def test_a_long_value_is_quoted_in_part() -> None:
    assert len(problems({**GOOD, "Router": {"default": "x-" * 500}})["Router.default"].found) < 80


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({**GOOD, "Prot": 1}, "Prot is not known and has no effect; did you mean PORT?"),
        ({**GOOD, "Provders": []}, "Provders is not known and has no effect; did you mean Providers?"),
        ({**GOOD, "zzz": 1}, "zzz is not known and has no effect"),
        (
            with_provider(apiKey="x"),
            "Providers[0].apiKey is not known and has no effect; did you mean api_key?",
        ),
        (with_provider(models=["m", "M"]), "Providers[0].models[1] names 'M' a second time"),
        (with_provider(transformer={"mm": {"use": []}}), "transformer.mm is not known"),
        ({**GOOD, "forceUseImageAgent": True}, "forceUseImageAgent has no effect without Router.image: it"),
        ({**GOOD, "AUTH": "none"}, "AUTH is none: every program on this machine"),
        (
            {**GOOD, "HOST": "10.0.0.1", "APIKEY": "k" * 24, "ALLOW_REMOTE": True},
            "HOST lets other machines reach this service",
        ),
        (
            {**GOOD, "Router": {"default": "databricks,m", "thinking": "databricks,m"}},
            "Router.thinking is not known and has no effect; did you mean think?",
        ),
    ],
)
def test_warnings(values: Any, warning: str) -> None:
    assert any(warning in sentence for sentence in load(values).warnings), load(values).warnings


def test_the_image_agent_is_forced() -> None:
    router = {"default": "databricks,m", "image": "databricks,m"}
    config = load({**GOOD, "Router": router, "forceUseImageAgent": True})
    assert (config.force_image_agent, config.warnings) == (True, ())
    assert not load(GOOD).force_image_agent


def test_empty_values_of_unsupported_keys_are_no_news() -> None:
    values = {
        **GOOD,
        "NON_INTERACTIVE_MODE": False,
        "plugins": [],
        "Router": {"default": "databricks,m", "think": "", "image": None},
    }
    config = load(values)
    assert config.warnings == ()
    assert config.router.scenarios == {}


def test_a_key_written_twice() -> None:
    text = (
        json.dumps(GOOD)[:-1]
        + ', "PORT": 1, "LOG": true, "PORT": 4000, "StatusLine": {"a": [{"b":1,"b":2}]}}'
    )
    config = load(text.encode())
    assert config.port == 4000
    assert config.warnings == (
        "config.json: PORT is written more than once; the last one counts",
        "config.json: StatusLine.a[0].b is written more than once; the last one counts",
    )


def test_an_upstream_on_this_machine_may_do_without_tls_and_key() -> None:
    local = {"name": "local", "api_base_url": "http://localhost:11434/v1/chat/completions", "models": ["q"]}
    config = load({"Providers": [local], "Router": {"default": "local,q"}})
    assert config.providers[0].api_key is None


def test_a_remote_host_with_a_strong_key() -> None:
    config = load({**GOOD, "HOST": ANYWHERE, "APIKEY": "k" * 24, "ALLOW_REMOTE": True})
    assert config.host == ANYWHERE


@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_a_js_file_is_recognised_by_its_text(tmp_path: Path, quote: str) -> None:
    file = tmp_path / "mine.js"
    file.write_text(f"class X {{ name = {quote}databricks-custom{quote}; }}\nmodule.exports = X;\n")
    config = load({**GOOD, "transformers": [{"path": str(file)}]})
    assert config.transformers[0].path == str(file)
    assert len(config.notes) == 1


@pytest.mark.parametrize(
    ("name", "text", "is_built_in"),
    [
        ("databricks.js", None, True),
        ("databricks-headers.js", "module.exports = class { name = 'headers' }", False),
        ("mine.js", "", False),
        ("databricks.py", "", False),
    ],
)
def test_files_are_told_apart_by_text_then_by_name(
    tmp_path: Path, name: str, text: str | None, *, is_built_in: bool
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    config = load({**GOOD, "transformers": [{"path": str(tmp_path / name)}]})
    assert config.transformers[0].is_built_in is is_built_in
    assert bool(config.notes) is is_built_in


@pytest.mark.parametrize("name", ["mine.js", "x" * 300 + ".js", "databricks.py", "", "a/b.js"])
def test_every_file_that_is_not_there_is_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.py").touch()
    path = tmp_path / name if name else tmp_path / "folder.py"
    (tmp_path / "folder.py").mkdir()
    files = [{"path": str(tmp_path / "there.py")}, {"path": str(path)}, {}, {"path": str(tmp_path / "no.py")}]
    found = problems({**GOOD, "LOG_LEVEL": 7, "transformers": files})
    assert list(found) == [
        "transformers[2].path",
        "transformers[1].path",
        "transformers[3].path",
        "LOG_LEVEL",
    ]
    assert "where there is no file" in found["transformers[1].path"].found


def test_the_file_of_the_built_in_step_must_be_there_only_when_it_is_forced() -> None:
    files = [{"path": "/nowhere/databricks.js"}]
    use: dict[str, Any] = {"use": [["databricks-custom", {"forceJs": True}]]}
    config = load({**with_provider(transformer={"use": ["databricks-custom"]}), "transformers": files})
    assert config.transformers[0].is_built_in
    for transformer in (use, {"m": use}):
        found = problems({**with_provider(transformer=transformer), "transformers": files})
        assert list(found) == ["transformers[0].path"]


def test_a_forced_file_gives_no_note(tmp_path: Path) -> None:
    (tmp_path / "databricks.js").write_text("name = 'databricks-custom'")
    path = str(tmp_path / "databricks.js")
    values = with_provider(transformer={"use": ["databricks-custom"]})
    config = load({**values, "transformers": [{"path": path, "options": {"forceJs": True}}]})
    assert config.notes == ()
    assert config.providers[0].steps[-1].options == {"forceJs": True}


@pytest.mark.parametrize("written", ["{folder}/b.py", "b.py", "~/b.py"])
def test_where_a_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "b.py").touch()
    data = json.dumps({**GOOD, "transformers": [{"path": written.format(folder=tmp_path)}]}).encode()
    config = config_from_bytes(data, {}, file=str(tmp_path / "config.json"))
    assert config.transformers[0].path == str(tmp_path / "b.py")


def test_steps_may_have_any_name_where_files_are(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    values = with_provider(transformer={"use": ["mine", ["OpenAI", {"any": 1}]]})
    config = load({**values, "transformers": [{"path": str(tmp_path / "mine.py")}]})
    assert [step.name for step in config.providers[0].steps] == ["mine", "OpenAI"]


def test_an_entry_point_may_define_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: name == "mine")
    assert load(with_provider(transformer={"use": ["mine"]})).providers[0].steps[0].name == "mine"
    assert problems(with_provider(transformer={"use": ["other"]}))


def test_options_of_the_use_come_on_top_of_those_of_the_file() -> None:
    values = {
        **with_provider(transformer={"use": [["databricks-custom", {"cache_control": "keep"}], ["OpenAI"]]}),
        "transformers": [{"path": "databricks.js", "options": {"cache_control": "strip", "debug": True}}],
    }
    steps = load(values).providers[0].steps
    assert steps == (
        Step(name="databricks-custom", options={"cache_control": "keep", "debug": True}),
        Step(name="OpenAI"),
    )


@pytest.mark.parametrize(("port", "meant"), [("4001", 4001), ("", 3456), (" ", 3456)])
def test_service_port_of_the_environment_wins(port: str, meant: int) -> None:
    assert load(GOOD, {"SERVICE_PORT": port}).port == meant


def test_a_key_that_can_be_guessed_is_told() -> None:
    (note,) = load({**GOOD, "APIKEY": "canary"}).notes
    assert "APIKEY has fewer than 24 characters" in note
    assert "canary" not in note
    assert load({**GOOD, "APIKEY": "k" * 24}).notes == ()


def test_a_wrong_service_port() -> None:
    assert "environment.SERVICE_PORT" in problems(GOOD, {"SERVICE_PORT": "x"})


class TestFile:
    def test_it_is_read_and_its_mode_looked_at(self, tmp_path: Path) -> None:
        paths = Paths(tmp_path)
        paths.config_file.write_text(json.dumps(GOOD))
        paths.config_file.chmod(0o600)
        assert load_config(paths, {}).warnings == ()
        paths.config_file.chmod(0o644)
        (warning,) = load_config(paths, {}).warnings
        assert "can be read by other users (mode 644)" in warning
        paths.config_file.chmod(0o620)
        (warning,) = load_config(paths, {}).warnings
        assert "can be read and changed by other users (mode 620)" in warning

    def test_none_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(StartError) as caught:
            load_config(Paths(tmp_path), {})
        assert caught.value.exit_code == 2
        assert str(tmp_path / "config.json") in str(caught.value)
        assert "`ccr demo`" in str(caught.value)
        example = (
            str(caught.value).partition("\n\n")[2].rpartition("\n\n")[0].replace("<workspace>", "w.test")
        )
        assert load(example.encode(), {"DATABRICKS_TOKEN": "x"}).warnings == ()

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").mkdir()
        with pytest.raises(ConfigError, match="cannot be read"):
            load_config(Paths(tmp_path), {})
