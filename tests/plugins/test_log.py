from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Secret
from ccr.plugins.errors import PluginError
from ccr.plugins.log import PluginLog
from tests.plugins.chunks import asked

if TYPE_CHECKING:
    from ccr.plugins.node import NodeHost
    from tests.plugins.conftest import MakeHost, PluginFile

MOMENT = dt.datetime(2026, 11, 22, 21, 50, 1, 123456, tzinfo=dt.UTC)
SECRET = Secret('sesame-"open"')


def made(file: Path, level: str | None = "info", **more: object) -> PluginLog:
    return PluginLog(file, level=level, secrets=[SECRET], clock=lambda: MOMENT, **more)  # type: ignore[arg-type] # a test's word


def test_the_documented_lines(log_file: Path) -> None:
    step = made(log_file, "debug").step("x")
    step.called("transformRequestIn")
    step.failed("transformRequestIn", ValueError("no such thing"))
    step.failed("stream", PluginError("x", "out of order", hook="stream", trace="at x.js:1"))
    assert log_file.read_text().splitlines() == [
        "2026-11-22T21:50:01.123Z [DEBUG] x: transformRequestIn called",
        "2026-11-22T21:50:01.123Z [ERROR] x: Error in transformRequestIn: ValueError: no such thing",
        r"2026-11-22T21:50:01.123Z [ERROR] x: Error in stream: out of order\nat x.js:1",
    ]
    assert log_file.stat().st_mode & 0o777 == 0o600


LEVELS = [
    ("trace", False, "tdiwef"),
    ("info", False, "iwef"),
    ("error", False, "ef"),
    ("fatal", True, "tdiwef"),
    (None, False, ""),
    (None, True, "tdiwef"),
]


@pytest.mark.parametrize(("level", "debug", "written"), LEVELS)
def test_which_lines_are_written(log_file: Path, level: str | None, debug: bool, written: str) -> None:
    step = made(log_file, level).step("x", debug=debug)
    for each in ("trace", "debug", "info", "warn", "error", "fatal"):
        step.write(each, each[0])
    lines = log_file.read_text().splitlines() if log_file.exists() else []
    assert "".join(line[-1] for line in lines) == written


TEXTS = [
    ("two\nlines\r\tand\x1b[31m colour", r"two\nlines\r\tand\x1b[31m colour"),
    ("half \ud800 of a pair", r"half \ud800 of a pair"),
    ("line\u2028separator", r"line\u2028separator"),
    ('by value: sesame-"open"!', "by value: ***!"),
    ('in JSON: {"k":"sesame-\\"open\\""}', 'in JSON: {"k":"***"}'),
    ("by form: dapi0123456789abcdef", "by form: ***"),
    ("ü🌍", "ü🌍"),
    ("x" * 8001, "x" * 8000 + "… (8001 characters)"),
]


@pytest.mark.parametrize(("text", "written"), TEXTS)
def test_a_line_is_one_line_without_secrets(log_file: Path, text: str, written: str) -> None:
    made(log_file).step("x").write("info", text)
    assert log_file.read_text() == f"2026-11-22T21:50:01.123Z [INFO] x: {written}\n"


def test_old_files_are_kept_and_their_number_is_bounded(log_file: Path) -> None:
    step = made(log_file, max_bytes=60).step("x")
    for number in range(5):
        step.write("info", f"line {number} " + "." * 10)
    kept = sorted(each.name for each in log_file.parent.iterdir())
    assert kept == ["plugin.log", "plugin.log.1", "plugin.log.2"]
    assert "line 4" in log_file.read_text()
    assert "line 3" in log_file.with_name("plugin.log.1").read_text()
    assert {each.stat().st_mode & 0o777 for each in log_file.parent.iterdir()} == {0o600}


def test_a_disk_that_fails_loses_lines_but_fails_nobody(
    log_file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = made(log_file, failures=logging.getLogger("test")).step("x")
    with monkeypatch.context() as full:
        full.setattr("ccr.plugins.log.os.write", lambda _file, _data: 0)
        step.write("info", "lost")
        step.write("info", "lost")
    (record,) = caplog.records
    assert record.getMessage() == "Failed to write to log file"
    assert record.fields == {"file": str(log_file), "reason": "the disk is full"}  # type: ignore[attr-defined] # ccr's own
    step.write("info", "kept")
    step.write("info", "kept")
    assert [line.partition(": ")[2] for line in log_file.read_text().splitlines()] == [
        "kept (2 lines before this one were lost)",
        "kept",
    ]


def test_a_link_is_not_followed_and_a_folder_is_made(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    link = tmp_path / "plugin.log"
    link.symlink_to(other)
    log = made(link)
    log.step("x").write("info", "text")
    assert (other.read_text(), log.lost_lines) == ("", 1)
    deep = tmp_path / "new" / "plugin.log"
    made(deep).step("x").write("info", "text")
    assert deep.parent.stat().st_mode & 0o777 == 0o700


async def talk(host: NodeHost, plugin_file: PluginFile, log_file: Path, **options: object) -> str:
    await host.load(plugin_file("talking.js"), {})
    await host.request(await host.instance("talking", options), b'{"messages":[]}', {}, asked())
    await host.close()
    return log_file.read_text() if log_file.exists() else ""


async def test_everything_a_plugin_says_is_in_the_log(
    make_host: MakeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    text = await talk(make_host(level="trace"), plugin_file, log_file)
    for level in ("trace", "debug", "info", "warn", "error", "fatal"):
        assert f"[{level.upper()}] talking: by logger: {level}\n" in text
    assert r"[INFO] talking: two\nlines { token: 'sesame-open-up' }" in text
    assert "[ERROR] talking: Error: by error" in text
    assert "[INFO] talking: by console { log: 1 }" in text
    assert "[WARN] talking: by console.warn" in text
    assert "'by table'" in text
    assert "[INFO] node: by stdout\n" in text
    assert "[ERROR] node: by stderr\n" in text
    assert "[INFO] req: by req.log" in text
    assert "debug is on" in text
    assert "[DEBUG] talking: transformRequestIn called\n" in text


async def test_the_level_counts_for_plugins_as_well(
    make_host: MakeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    text = await talk(make_host(level="warn"), plugin_file, log_file)
    assert "[WARN] talking" in text
    assert "by logger: error" in text
    assert "[INFO]" not in text
    assert "called" not in text


async def test_with_LOG_false_nothing_is_written(  # noqa: N802 - the key's name
    make_host: MakeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    assert await talk(make_host(level=None), plugin_file, log_file) == ""


async def test_the_option_debug_writes_all_lines_of_its_transformer(
    make_host: MakeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    text = await talk(make_host(level=None), plugin_file, log_file, debug=True)
    assert "[TRACE] talking: by logger: trace" in text
    assert "[INFO] talking: by console" in text
    assert "talking: transformRequestIn called" in text
    assert "] node: " not in text


async def test_records_that_are_none_do_not_stop_the_host(
    host: NodeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        "module.exports = class { name = 'own'; transformRequestIn(r) {"
        " require('fs').writeSync(Number(process.argv[3]), 'nonsense\\n'); return r; } };"
    )
    await host.load(str(file), {})
    one = await host.instance("own", {})
    assert (await host.request(one, b'{"messages":[]}', {}, asked())).body == b'{"messages":[]}'
    await host.close()
    assert "the records of the Node process are broken" in log_file.read_text()
