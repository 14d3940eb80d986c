"""The whole status line: what the client tells, transcripts, git, styles, scripts, and their faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ccr.statusline.line import status_line
from ccr.statusline.scripts import Script, texts_of

TOLD: dict[str, Any] = {
    "session_id": "0123456789abcdef",
    "cwd": "/nowhere/proj",
    "version": "2.1.197",
    "model": {"id": "databricks-claude-sonnet-4-6", "display_name": "Sonnet 4.6"},
    "workspace": {"current_dir": "/nowhere/proj", "project_dir": "/nowhere/proj"},
    "cost": {
        "total_cost_usd": 1.234,
        "total_duration_ms": 303_000,
        "total_api_duration_ms": 4_200,
        "total_lines_added": 30,
        "total_lines_removed": 4,
    },
    "context_window": {
        "context_window_size": 200_000,
        "used_percentage": 6.2,
        "total_input_tokens": 2_500_000,
        "total_output_tokens": 900,
        "current_usage": {
            "input_tokens": 3,
            "output_tokens": 67,
            "cache_creation_input_tokens": 297,
            "cache_read_input_tokens": 12_000,
        },
    },
    "output_style": {"name": "default"},
}
LOGGED = {
    "message": "request ok",
    "session_id": TOLD["session_id"],
    "provider": "databricks",
    "upstream_model": "databricks-claude-sonnet-4-6",
    "rule": "default",
    "stream": True,
    "ms": 3000,
    "first_byte_ms": 1000,
    "output_tokens": 100,
}
EVERY_VARIABLE = {
    "workDirName": "proj",
    "gitBranch": "",
    "model": "Sonnet 4.6",
    "modelId": "databricks-claude-sonnet-4-6",
    "modelName": "Sonnet 4.6",
    "inputTokens": "12.3k",
    "outputTokens": "67",
    "totalInputTokens": "2.5M",
    "totalOutputTokens": "900",
    "contextPercent": "6",
    "contextWindowSize": "200k",
    "cost": "$1.23",
    "totalCost": "$1.23",
    "duration": "5m3s",
    "apiDuration": "4.2s",
    "linesAdded": "30",
    "linesRemoved": "4",
    "netLines": "26",
    "tokenSpeed": "50",
    "timeToFirstToken": "1.0s",
    "isStreaming": "",
    "streamingIndicator": "",
    "provider": "databricks",
    "upstreamModel": "databricks-claude-sonnet-4-6",
    "rule": "default",
    "version": "2.1.197",
    "sessionId": "01234567",
    "outputStyle": "default",
}


class Home:
    """A folder with a configuration and a log."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.json"
        self.log = folder / "ccr.log"

    def configure(self, modules: list[Any], style: str = "default") -> None:
        settings = {"enabled": True, "currentStyle": style, style: {"modules": modules}}
        text = json.dumps({"Router": {"default": "p,configured"}, "StatusLine": settings})
        self.config.write_text("// mine\n" + text)

    def line(self, told: Any = TOLD, **environ: str) -> str:
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        return status_line(data, files=(self.config,), log=self.log, environ=environ)

    def text(self, text: str, told: Any = TOLD) -> str:
        self.configure([{"type": "x", "text": text}])
        return self.line(told, NO_COLOR="1")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize(("name", "value"), EVERY_VARIABLE.items())
def test_variables(home: Home, name: str, value: str) -> None:
    home.log.write_text(
        json.dumps({"session_id": "other", "output_tokens": 1})
        + "\n"
        + json.dumps(LOGGED)
        + "\n"
        # what ccr asked of its own accord is no answer of the session
        + json.dumps({**LOGGED, "route": "image_agent", "output_tokens": 9, "provider": "eyes"})
        + "\n"
    )
    assert home.text(f"<{{{{ {name} }}}}>{{{{version}}}}") == f"<{value}>2.1.197"


def test_the_documentation_names_every_variable() -> None:
    page = (Path(__file__).parents[2] / "docs" / "statusline.md").read_text()
    assert [name for name in EVERY_VARIABLE if f"`{name}`" not in page] == []


def test_without_configuration_the_built_in_line(home: Home) -> None:
    plain = home.line(NO_COLOR="1", USE_SIMPLE_ICONS="true")
    assert plain == "proj Sonnet 4.6 ↑ 12.3k ↓ 67 6% $1.23"
    coloured = home.line(TERM="xterm")
    assert "\x1b[94m\U000f024b proj\x1b[0m" in coloured
    assert home.line(TERM="dumb") == plain


def test_icons_and_colours(home: Home) -> None:
    home.configure(
        [
            {"type": "workDir", "icon": "\U000f024b", "text": "{{workDirName}}", "color": "bright_blue"},
            {"type": "model", "icon": ">", "text": "{{model}}", "color": "#fF8000", "background": "bg_red"},
            {"type": "usage", "text": "{{inputTokens}}", "color": "abc", "background": "bg_bright_orange"},
            {"type": "x", "text": "plain", "color": "nonsense", "background": 7},
            {"type": "gitBranch", "icon": "!", "text": "on {{gitBranch}}"},
        ]
    )
    assert home.line() == (
        "\x1b[94m\U000f024b proj\x1b[0m \x1b[41m\x1b[38;2;255;128;0m> Sonnet 4.6\x1b[0m "
        "\x1b[48;5;202m\x1b[38;2;170;187;204m12.3k\x1b[0m plain\x1b[0m"
    )
    assert "\U000f024b" not in home.line(USE_SIMPLE_ICONS="true")


def test_powerline(home: Home) -> None:
    modules = [
        {"type": "workDir", "text": "{{workDirName}}", "color": "white", "background": "bg_bright_blue"},
        {"type": "gitBranch", "text": "{{gitBranch}}", "background": "bg_red"},
        {"type": "model", "text": "{{model}}", "background": "#102030"},
    ]
    home.configure(modules, "powerline")
    assert home.line() == (
        "\x1b[104m\x1b[37m proj \x1b[0m\x1b[94m\x1b[48;2;16;32;48m\ue0b0\x1b[0m"
        "\x1b[48;2;16;32;48m\x1b[97m Sonnet 4.6 \x1b[0m\x1b[38;2;16;32;48m\ue0b0\x1b[0m"
    )
    assert "\ue0b0" not in home.line(USE_SIMPLE_ICONS="true")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("workDir", "proj"),
        ("model", "Sonnet 4.6"),
        ("usage", "↑ 12.3k ↓ 67"),
        ("cost", "$1.23"),
        ("duration", "5m3s"),
        ("context", "6%"),
        ("lines", "+30 -4"),
        ("speed", ""),
        ("unknown", ""),
    ],
)
def test_types_have_texts_of_their_own(home: Home, kind: str, text: str) -> None:
    home.configure([{"type": kind}])
    assert home.line(NO_COLOR="1") == text


def transcript(home: Home, *records: Any) -> dict[str, Any]:
    file = home.config.parent / "t.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {"session_id": "s", "cwd": "/x/y", "transcript_path": str(file)}


def assistant(model: str, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 1000}
    return {"type": "assistant", "message": {"model": model, "usage": usage}, **more}


def test_the_transcript_says_what_an_older_client_does_not(home: Home) -> None:
    told = transcript(
        home,
        assistant("first"),
        assistant("claude-x"),
        assistant("side", isSidechain=True),
        assistant("<synthetic>"),
        {"type": "user", "message": 'an "assistant"'},
        {"type": "assistant", "message": "odd"},
    )
    assert (
        home.text("{{model}} {{inputTokens}} {{outputTokens}} {{contextPercent}}", told) == "claude-x 1.0k 7"
    )


def test_only_the_end_of_a_transcript_is_read(home: Home) -> None:
    long = "x" * 200_000
    told = transcript(
        home, *[{"type": "user", "message": long}] * 15, assistant("m"), {"type": "user", "t": long}
    )
    assert home.text("{{model}}", told) == "m"
    told = transcript(home, assistant("m"), *[{"type": "user", "message": long}] * 25)
    assert home.text("{{model}}", told) == "configured"  # Router.default, 5 MB away from the answer


def test_context_is_computed_where_the_client_tells_no_percentage(home: Home) -> None:
    window = {**TOLD["context_window"], "used_percentage": None}
    assert home.text("{{contextPercent}}", {**TOLD, "context_window": window}) == "6"


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ({"total_cost_usd": 0.004, "total_duration_ms": 850}, "0.40¢ 850ms"),
        ({"total_cost_usd": 0, "total_duration_ms": 4_320_000}, "1h12m"),
        ({"total_cost_usd": 2, "total_duration_ms": 0}, "$2.00"),
        ("odd", ""),
    ],
)
def test_amounts_and_times(home: Home, cost: Any, text: str) -> None:
    assert home.text("{{cost}} {{duration}}", {**TOLD, "cost": cost}) == text


def test_branches(home: Home, tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
            cwd=repository,
            check=True,
            capture_output=True,
        )

    repository = tmp_path / "repository"
    (repository / "deep" / "er").mkdir(parents=True)
    git("init", "-q", "-b", "feature/x")
    git("commit", "-q", "--allow-empty", "-m", "m")
    git("worktree", "add", "-q", "../other", "-b", "second")
    assert home.text("{{gitBranch}}", {"cwd": str(repository / "deep" / "er")}) == "feature/x"
    assert home.text("{{gitBranch}}", {"cwd": str(tmp_path / "other")}) == "second"
    git("checkout", "-q", "--detach")
    assert home.text("{{gitBranch}}", {"cwd": str(repository)}) == ""


def test_scripts_in_both_languages(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        "console.log('noise'); module.exports = async (v, o) => o.p + v.workDirName;"
    )
    (tmp_path / "b.cjs").write_text("module.exports = { default: 'fixed' };")
    (tmp_path / "c.mjs").write_text("export default (v) => v.model;")
    (tmp_path / "d.js").write_text("throw new Error('no');")
    (tmp_path / "e.py").write_text(
        "print('noise')\ndef status_line(v, o):\n    return v['sessionId'] + o.get('x', '')\n"
    )
    (tmp_path / "f.py").write_text("1/0")
    home.configure(
        [
            {"type": "script", "icon": "*", "scriptPath": "a.js", "options": {"p": "in "}},
            *(
                {"type": "script", "scriptPath": str(tmp_path / name)}
                for name in ("b.cjs", "c.mjs", "d.js", "none.js")
            ),
            {"type": "script", "scriptPath": "e.py", "options": {"x": "!"}},
            {"type": "script", "scriptPath": "f.py"},
            {"type": "script"},
        ]
    )
    assert home.line(NO_COLOR="1") == "* in proj fixed Sonnet 4.6 01234567!"


def test_a_script_that_hangs_costs_only_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "quick.py").write_text("def status_line(v, o): return 'quick'\n")
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)\n")
    scripts = [Script(0, str(tmp_path / "quick.py")), Script(3, str(tmp_path / "slow.py"))]
    assert texts_of(scripts, {}, deadline_s=3) == {0: "quick"}
    assert "longer than 3 s" in capfd.readouterr().err


def test_a_language_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.js").touch()
    assert texts_of([Script(0, str(tmp_path / "x.js"))], {}) == {}
    assert "node cannot be run" in capfd.readouterr().err


def test_names_bring_no_control_characters_into_the_terminal(home: Home) -> None:
    assert home.text("{{workDirName}}", {"cwd": "/x/a\x1b]0;evil\x07b"}) == "a?]0;evil?b"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"[" * 100_000, b"\xff"])
def test_anything_else_gives_an_empty_line(
    home: Home, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.line(data) == ""
    assert capsys.readouterr().err.startswith("ccr statusline: ")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {
            "model": "x",
            "cwd": 3,
            "session_id": 4,
            "transcript_path": 5,
            "context_window": {"current_usage": 6},
        },
        {"transcript_path": "/", "session_id": "s", "cost": {"total_cost_usd": "much"}},
    ],
)
def test_odd_fields_are_as_good_as_none(home: Home, told: Any) -> None:
    assert home.line(told, NO_COLOR="1") == ""


def test_what_is_not_known_is_empty_and_nothing_is_nothing(home: Home) -> None:
    text = "{{inputTokens}}|{{totalInputTokens}}|{{contextPercent}}|{{linesAdded}}|{{netLines}}"
    before = {"context_window": {"current_usage": None, "context_window_size": 200_000}}
    assert home.text(f"{text}{{{{workDirName}}}}", {**before, "cwd": "/x"}) == "||||x"
    nothing = {
        "context_window": {
            "current_usage": {"input_tokens": 0},
            "total_input_tokens": 0,
            "used_percentage": 0,
        },
        "cost": {"total_lines_added": 0, "total_lines_removed": 2},
    }
    assert home.text(text, nothing) == "0|0|0|0|-2"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"StatusLine": 3}', '{"StatusLine": {"default": {"modules": 3}}}']
)
def test_a_damaged_configuration_costs_no_line(home: Home, text: str) -> None:
    home.config.write_text(text)
    assert home.line(NO_COLOR="1", USE_SIMPLE_ICONS="true").startswith("proj")


def test_a_style_of_the_persons_own(home: Home) -> None:
    home.configure([{"type": "workDir"}, "odd"], "mine")
    assert home.line(NO_COLOR="1") == "proj"


def test_damaged_logs(home: Home) -> None:
    unusable = {**LOGGED, "first_byte_ms": 9000}
    home.log.write_text(f'{json.dumps(unusable)}\n{{"session_id": "{TOLD["session_id"]}", "output_tokens\n')
    assert home.text("{{tokenSpeed}}|{{rule}}") == "|default"


def test_the_command_imports_nothing_heavy() -> None:
    program = (
        "import sys; from ccr.cli import main\n"
        "sys.argv = ['ccr', 'statusline', 'team']\n"
        "main(); print(0, sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(TOLD), capture_output=True, text=True, check=True
    )
    assert done.stderr.startswith("0 ")
    heavy = (
        "click",
        "aiohttp",
        "rich",
        "json5",
        "msgspec",
        "asyncio",
        "subprocess",
        "ccr.server",
        "ccr.config.load",
    )
    assert [name for name in heavy if f"'{name}'" in done.stderr] == []


@pytest.mark.parametrize("name", ["x.js", "x.py"])
def test_a_script_that_others_can_write_is_not_run(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("raise SystemExit('it ran')")
    (tmp_path / name).chmod(0o666)
    assert texts_of([Script(0, str(tmp_path / name))], {}) == {}
    assert "x." in (said := capfd.readouterr().err)
    assert "can be written by other users" in said
    assert "it ran" not in said


def test_nothing_of_the_folder_the_person_stands_in_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned repository may hold files with the names of Python's own modules."""
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("json", "runpy", "sitecustomize"):
        (repository / f"{name}.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'w')")
    script = tmp_path / "own.py"
    script.write_text("def status_line(variables, options): return 'mine'\n")
    monkeypatch.chdir(repository)
    assert texts_of([Script(0, str(script))], {}) == {0: "mine"}
    assert not (tmp_path / "taken").exists()
