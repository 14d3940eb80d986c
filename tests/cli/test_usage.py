"""``ccr usage`` and ``ccr requests``: what a person sees of what was kept."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ccr.cli.main import cli
from ccr.cli.usage_text import dollars, tokens
from ccr.errors import StartError, StoreError
from tests.store.database import PLAIN, failed, make_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ccr.store.records import RequestRow

TODAY = dt.date(2026, 11, 30)
OWN = {"name": "own", "api_base_url": "https://a.test/v1/chat", "api_key": "k", "models": ["llama-9"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CCR_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    monkeypatch.setattr("ccr.cli.usage.today", lambda: TODAY)
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def shown(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def days_ago(days: int, **changes: Any) -> RequestRow:
    """Return a request of a night in Tokyo, when UTC has the day before."""
    night = dt.datetime.combine(TODAY - dt.timedelta(days=days), dt.time(1)).astimezone()
    return PLAIN._replace(at_ms=round(night.timestamp() * 1000), **changes)


def cells(text: str, first: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(first))
    return line.removeprefix(first).split()


def configure(home: Path, **provider: Any) -> None:
    config = {"Providers": [{**OWN, **provider}], "Router": {"default": "own,llama-9"}}
    (home / "config.json").write_text(json.dumps(config))
    (home / "config.json").chmod(0o600)


class TestUsage:
    def test_without_options_three_periods_and_the_models(self, home: Path) -> None:
        rows = [
            *(days_ago(0), days_ago(0, upstream_model="llama-9", provider="own"), days_ago(6)),
            *(days_ago(7), days_ago(29), days_ago(30), failed(at_ms=days_ago(0).at_ms)),
        ]
        make_database(home / "usage.sqlite", rows)
        text = shown("usage")
        assert cells(text, "today")[:6] == ["3", "1", "200", "1800", "0", "100"]
        assert cells(text, "last 7 days")[:2] == ["4", "1"]
        assert cells(text, "last 30 days")[:2] == ["6", "1"]
        assert "By model, last 30 days:" in text
        sonnet = cells(text, "databricks-claude-sonnet-4-6")
        assert sonnet == ["5", "1", "400", "3600", "0", "200", "90%", "50", "0.5", "s", "$0.0053"]
        assert cells(text, "llama-9")[-1] == "unknown"
        assert cells(text, "last 30 days")[-3:] == ["$0.0053", "+", "?"]
        assert "1 request went to models without a known price" in text
        assert "estimates at list prices" in text

    def test_a_period_of_days(self, home: Path) -> None:
        make_database(home / "usage.sqlite", [days_ago(days) for days in range(4)])
        text = shown("usage", "--days", "2", "--by", "day")
        assert "By day, last 2 days:" in text
        assert [line.split()[:2] for line in text.splitlines()[3:6]] == [
            ["2026-11-29", "1"],
            ["2026-11-30", "1"],
            ["total", "2"],
        ]

    @pytest.mark.parametrize(
        ("options", "count", "words"),
        [
            (["--since", "2026-11-29"], 2, "from 2026-11-29"),
            (["--until", "2026-11-28"], 2, "to 2026-11-28"),
            (["--since", "2026-11-28", "--until", "2026-11-29"], 2, "from 2026-11-28 to 2026-11-29"),
            (["--by", "model"], 4, "last 30 days"),
        ],
    )
    def test_a_period_by_dates(self, home: Path, options: list[str], count: int, words: str) -> None:
        make_database(home / "usage.sqlite", [days_ago(days) for days in range(4)])
        text = shown("usage", *options)
        assert f"By model, {words}:" in text
        assert cells(text, "total")[0] == str(count)

    @pytest.mark.parametrize("by", ["model", "provider", "session", "project", "rule", "agent"])
    def test_every_grouping(self, home: Path, by: str) -> None:
        make_database(home / "usage.sqlite", [days_ago(0)], {"5e55-10": "-home-me"})
        text = shown("usage", "--by", by)
        assert text.splitlines()[2].startswith(by.upper())
        document = json.loads(shown("usage", "--by", by, "--json"))
        assert document["lines"][0]["key"] in text

    def test_json_and_csv_have_all_digits(self, home: Path) -> None:
        rows = [days_ago(0, input_tokens=1_234_567), days_ago(1, upstream_model="llama-9")]
        make_database(home / "usage.sqlite", rows)
        document = json.loads(shown("usage", "--json"))
        assert (document["by"], document["currency"]) == ("model", "USD")
        assert document["since"] == "2026-11-01T00:00:00+09:00"
        assert document["total"]["input_tokens"] == 1_234_667
        read = list(csv.DictReader(io.StringIO(shown("usage", "--csv", "--by", "model"))))
        for line, of_csv in zip(document["lines"], read, strict=True):
            expected = {"model": line.pop("key"), **line}
            assert of_csv == {key: "" if value is None else str(value) for key, value in expected.items()}

    def test_own_prices(self, home: Path) -> None:
        make_database(home / "usage.sqlite", [days_ago(0, provider="OWN", upstream_model="Llama-9")])
        configure(home, prices={"input": 10, "output": 100, "cache_read": 1})
        total = json.loads(shown("usage", "--json"))["total"]
        assert total["cost_usd"] == pytest.approx((100 * 10 + 50 * 100 + 900) / 1_000_000)

    def test_a_configuration_with_problems_is_told_of(self, home: Path) -> None:
        make_database(home / "usage.sqlite", [days_ago(0)])
        configure(home, prices={"input": 10})
        done = run("usage")
        assert done.exit_code == 0
        assert "its own prices do not count" in done.stderr

    def test_nothing_in_the_period(self, home: Path) -> None:
        make_database(home / "usage.sqlite", [days_ago(100, output_tokens=None)])
        assert shown("usage") == "No requests were recorded: last 30 days.\n"
        assert shown("usage", "--days", "1") == "No requests were recorded: today.\n"
        assert json.loads(shown("usage", "--json"))["lines"] == []
        assert len(shown("usage", "--csv").splitlines()) == 1
        assert "1 request had answers without token figures" in shown("usage", "--days", "200")

    @pytest.mark.parametrize(
        "options",
        [
            ["--days", "2", "--since", "2026-01-01"],
            ["--days", "0"],
            ["--since", "yesterday"],
            ["--since", "2026-01-02", "--until", "2026-01-01"],
            ["--by", "colour"],
            ["--json", "--csv"],
        ],
    )
    def test_options_that_make_no_sense(self, options: list[str]) -> None:
        assert run("usage", *options).exit_code == 2


class TestNoDatabase:
    @pytest.mark.parametrize("command", ["usage", "requests"])
    def test_nothing_yet(self, home: Path, command: str) -> None:
        with pytest.raises(StartError, match="Nothing was recorded yet") as raised:
            run(command)
        assert raised.value.exit_code == 3
        assert "USAGE" not in str(raised.value)
        assert list(home.iterdir()) == []

    def test_nothing_because_nothing_is_wanted(self, home: Path) -> None:
        configure(home)
        written = json.loads((home / "config.json").read_text())
        (home / "config.json").write_text(json.dumps({**written, "USAGE": False}))
        with pytest.raises(StartError, match="USAGE is false"):
            run("usage")

    @pytest.mark.parametrize("command", ["usage", "requests"])
    def test_a_newer_one(self, home: Path, command: str) -> None:
        make_database(home / "usage.sqlite", [PLAIN])
        connection = sqlite3.connect(home / "usage.sqlite")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StoreError, match="made by a newer ccr"):
            run(command)

    def test_a_broken_one(self, home: Path) -> None:
        (home / "usage.sqlite").write_bytes(b"nonsense" * 1000)
        with pytest.raises(StoreError, match="damaged, or no database"):
            run("usage")
        assert (home / "usage.sqlite").read_bytes() == b"nonsense" * 1000


class TestRequests:
    def test_the_newest_first_with_their_errors_below(self, home: Path) -> None:
        rows = [
            days_ago(1),
            failed(at_ms=days_ago(0).at_ms, request_id="req_2", provider="", upstream_model="", rule=""),
            days_ago(0, outcome="cancelled", request_id="req_3", output_tokens=20_000),
        ]
        make_database(home / "usage.sqlite", rows)
        lines = shown("requests").splitlines()
        assert lines[0].split() == [
            *("TIME", "OUTCOME", "ROUTE", "RULE", "REQUEST", "PROMPT", "OUTPUT", "FIRST", "BYTE", "TOOK")
        ]
        assert lines[1].split() == [
            *("11-30", "01:00:00", "cancelled", "databricks,databricks-claude-sonnet-4-6", "default"),
            *("req_3", "1000", "20K", "0.5", "s", "1.5", "s"),
        ]
        assert lines[2].split() == [
            *("11-30", "01:00:00", "error", "429", "claude-sonnet-4-6", "-", "req_2", "-", "-", "-"),
            *("1.5", "s"),
        ]
        assert lines[3] == "    rate_limit_error: too many requests"
        assert lines[4].split()[:3] == ["11-29", "01:00:00", "ok"]

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ([], ["req_4", "req_3", "req_2", "req_1"]),
            (["--limit", "1"], ["req_4"]),
            (["-n", "2"], ["req_4", "req_3"]),
            (["--errors"], ["req_3", "req_2"]),
            (["--session", "5e55"], ["req_4", "req_2", "req_1"]),
            (["--model", "haiku"], ["req_4"]),
            (["--provider", "own", "--errors"], ["req_3"]),
            (["--text", "TOO MANY"], ["req_2"]),
        ],
    )
    def test_searching(self, home: Path, options: list[str], found: list[str]) -> None:
        rows = [
            PLAIN,
            failed(request_id="req_2"),
            failed(request_id="req_3", provider="own", session="other", error="no"),
            PLAIN._replace(request_id="req_4", upstream_model="databricks-claude-haiku-4-5"),
        ]
        make_database(home / "usage.sqlite", rows)
        lines = shown("requests", *options, "--json").splitlines()
        assert [json.loads(line)["request_id"] for line in lines] == found

    def test_nothing_found(self, home: Path) -> None:
        make_database(home / "usage.sqlite", [])
        assert shown("requests") == "No requests were recorded yet.\n"
        assert shown("requests", "--errors") == "No such request was recorded.\n"
        assert shown("requests", "--json") == ""

    def test_texts_of_others_do_nothing_to_a_terminal(self, home: Path) -> None:
        evil = "a\x1b[2J\x07\nnew\u202e\x9b1m"
        row = failed(
            at_ms=days_ago(0).at_ms,
            **dict.fromkeys(
                ("error", "error_type", "model", "upstream_model", "agent", "session", "rule", "request_id"),
                evil,
            ),
        )
        make_database(home / "usage.sqlite", [row], {evil: evil})
        texts = [shown("requests"), shown("requests", "--json"), shown("usage")]
        for by in ("model", "session", "project", "agent", "rule"):
            texts += [shown("usage", "--by", by), shown("usage", "--by", by, "--csv")]
        for text in texts:
            assert all(character.isprintable() or character == "\n" for character in text)
        assert len(texts[0].splitlines()) == 3


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10K"),
        (12_345, "12.3K"),
        (999_999, "1000K"),
        (1_000_000, "1M"),
        (4_567_890_123, "4.57G"),
        (1_234_567_890_123, "1235G"),
    ],
)
def test_tokens_in_a_few_characters(count: int | None, text: str) -> None:
    assert tokens(count) == text


@pytest.mark.parametrize(
    ("cost", "without_price", "text"),
    [
        (None, 0, "-"),
        (None, 3, "unknown"),
        (0.0, 0, "$0.00"),
        (0.00123, 0, "$0.0012"),
        (0.019, 0, "$0.02"),
        (1234.5, 2, "$1,234.50 + ?"),
    ],
)
def test_costs(cost: float | None, without_price: int, text: str) -> None:
    assert dollars(cost, without_price) == text
