"""The end of a log, what was added since, and what is looked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.paths import Paths
from ccr.ui import log_view
from ccr.ui.log_view import LOGS, Wanted, log_file, log_page, record_from

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ui.conftest import Asked

ANY = Wanted()


def line(message: str, level: str = "info", **fields: Any) -> str:
    values = {"time": "2026-01-01T00:00:00.000+00:00", "level": level, "message": message, **fields}
    return json.dumps(values) + "\n"


def messages(page: dict[str, Any]) -> list[str]:
    return [record["message"] for record in page["records"]]


def test_every_form_of_a_line() -> None:
    record = record_from(line("hello", request_id="req_1", rules=["a"], traceback="T").strip())
    assert record["fields"] == [("request_id", "req_1"), ("rules", '["a"]')]
    assert (record["message"], record["level"], record["traceback"]) == ("hello", "info", "T")
    plugin = record_from("2026-01-01T00:00:00.000Z [ERROR] databricks-custom: no")
    assert (plugin["time"], plugin["level"]) == ("2026-01-01T00:00:00.000Z", "error")
    assert plugin["message"] == "databricks-custom: no"
    for other in ("Traceback (most recent call last):", "[1, 2]", "{", "[" * 100_000):
        assert record_from(other)["message"] == other
    assert record_from('{"level": ["x"], "message": 1}')["message"] == "1"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ANY, ["one", "two", "three", "plain"]),
        (Wanted(level="warn"), ["two", "three", "plain"]),
        (Wanted(level="nonsense"), ["one", "two", "three", "plain"]),
        (Wanted(text="TWO"), ["two"]),
        (Wanted(text="req_3"), ["three"]),
        (Wanted(request="req_1"), ["one"]),
        (Wanted(session="s1"), ["one", "two"]),
        (Wanted(session="s1", level="warn"), ["two"]),
        (Wanted(text="nowhere"), []),
    ],
)
def test_what_is_looked_for(tmp_path: Path, wanted: Wanted, found: list[str]) -> None:
    file = tmp_path / "ccr.log"
    file.write_text(
        line("one", request_id="req_1", session_id="s1")
        + line("two", "warn", request_id="req_2", session_id="s1")
        + line("three", "error", request_id="req_3", session_id="s2")
        + "plain\n"
    )
    assert messages(log_page(file, "", wanted)) == found


def test_what_was_added_since(tmp_path: Path) -> None:
    file = tmp_path / "ccr.log"
    assert log_page(file, "", ANY) == {"exists": False, "cursor": "", "records": [], "omitted": 0}
    file.write_text(line("one") + '{"half')
    first = log_page(file, "", ANY)
    assert messages(first) == ["one"]
    assert messages(log_page(file, first["cursor"], ANY)) == []
    file.write_text(line("one") + '{"half": 1}\n' + line("two"))
    second = log_page(file, first["cursor"], ANY)
    assert messages(second) == ["", "two"]
    for odd in ("x", "1-2-3", "99999999-0", "-", "../x"):
        assert messages(log_page(file, odd, ANY)) == ["one", "", "two"]


def test_no_line_is_lost_when_the_file_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "ccr.log"
    file.write_text(line("one"))
    cursor = log_page(file, "", ANY)["cursor"]
    with file.open("a") as opened:
        opened.write(line("two"))
    file.rename(tmp_path / "ccr.log.1")
    file.write_text(line("three"))
    assert messages(log_page(file, cursor, ANY)) == ["two", "three"]
    file.rename(tmp_path / "ccr.log.2")
    file.write_text(line("four"))
    assert messages(log_page(file, cursor, ANY)) == ["two", "four"], "the file between them is gone"
    cursor = log_page(file, "", ANY)["cursor"]
    file.write_text("")
    assert messages(log_page(file, cursor, ANY)) == []


def test_only_the_end_of_a_long_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_view, "LOOKED_AT_BYTES", 1000)
    monkeypatch.setattr(log_view, "SHOWN_LINES", 3)
    file = tmp_path / "ccr.log"
    file.write_text("".join(f"line {number:03}\n" for number in range(500)))
    page = log_page(file, "", ANY)
    assert messages(page) == ["line 497", "line 498", "line 499"]
    assert page["omitted"] == 108, "111 whole lines in 1000 bytes, the one that is cut left out"
    assert messages(log_page(file, f"{file.stat().st_ino}-9", ANY)) == ["line 497", "line 498", "line 499"]


def test_the_files_are_known_ones_and_no_links(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    names = {name: log_file(paths, name).relative_to(tmp_path).as_posix() for name in LOGS}
    assert names == {"ccr": "logs/ccr.log", "plugin": "plugin.log", "start": "logs/start.log"}
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "plugin.log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        log_page(tmp_path / "plugin.log", "", ANY)


async def test_on_the_wire(pages: Asked) -> None:
    folder = pages.installation.paths.log_dir
    folder.mkdir(parents=True)
    (folder / "ccr.log").write_text(line("one <script>") + line("two", "error"))
    answer = await pages.get("/api/log?name=ccr&level=error")
    assert messages(answer.values) == ["two"]
    for name in ("", "nothing", "../config.json", "ccr.log", "/etc/passwd", "ccr&name=start"):
        assert (await pages.get(f"/api/log?name={name}")).status in (200, 404)
        if name != "ccr&name=start":
            assert (await pages.get(f"/api/log?name={name}")).status == 404
    (pages.installation.paths.home / "plugin.log").symlink_to(pages.installation.paths.config_file)
    refused = await pages.get("/api/log?name=plugin")
    assert refused.status == 422
    assert b"Providers" not in refused.body
