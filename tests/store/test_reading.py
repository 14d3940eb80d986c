"""Figures and requests out of a database."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.model import Prices
from ccr.errors import StoreError
from ccr.store.migrations import VERSION
from ccr.store.read import Filters, open_read_only, recent_requests, usage_report
from ccr.store.report import figures_of
from tests.store.database import PLAIN, failed, make_database, readable_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ccr.store.reading import By
    from ccr.store.records import RequestRow

OTHER = PLAIN._replace(
    provider="own",
    upstream_model="llama-9",
    session="other",
    rule="think",
    agent="curl/8",
    request_id="req_o",
)
HAIKU = PLAIN._replace(upstream_model="databricks-claude-haiku-4-5", rule="background")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Days are those of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def report(path: Path, rows: Sequence[RequestRow], by: By = "model", **more: Any) -> dict[str, Any]:
    make_database(path / "usage.sqlite", rows, more.pop("projects", None))
    bounds = {"since": None, "until": None, **more}
    with open_read_only(path / "usage.sqlite") as reader:
        return usage_report(reader, by=by, **bounds).to_dict()


def test_the_figures_of_one_model(tmp_path: Path) -> None:
    rows = [PLAIN, PLAIN, failed(), PLAIN._replace(outcome="cancelled", status=499, output_tokens=10)]
    shown = report(tmp_path, rows)
    (line,) = shown["lines"]
    assert line == {"key": "databricks-claude-sonnet-4-6", **shown["total"]}
    assert shown["total"] == {
        "requests": 4,
        "errors": 1,
        "cancelled": 1,
        "without_usage": 0,
        "input_tokens": 300,
        "output_tokens": 110,
        "cache_read_input_tokens": 2700,
        "cache_creation_input_tokens": 0,
        "cost_usd": pytest.approx((300 * 3 + 110 * 15 + 2700 * 0.3) / 1_000_000),
        "without_price": 0,
        "cache_hit_share": 0.9,
        "tokens_per_s": 50.0,
        "first_byte_ms": 500.0,
        "last_at": "2026-09-21T14:13:20.000+00:00",
    }


def test_what_nobody_knows_is_none(tmp_path: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(name for name in OTHER._fields if name.endswith("_tokens"))
    silent = OTHER._replace(**nothing)
    total = report(tmp_path, [silent, failed(provider="", upstream_model="")])["total"]
    unknown = {name for name, value in total.items() if value is None}
    assert unknown == {
        *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
        *("cost_usd", "cache_hit_share", "tokens_per_s"),
    }
    assert total["without_usage"] == 1
    assert total["without_price"] == 0


def test_a_model_without_price_is_not_free(tmp_path: Path) -> None:
    shown = report(tmp_path, [PLAIN, OTHER, OTHER])
    costs = {line["key"]: (line["cost_usd"], line["without_price"]) for line in shown["lines"]}
    assert costs["llama-9"] == (None, 2)
    assert (shown["total"]["cost_usd"], shown["total"]["without_price"]) == (
        costs["databricks-claude-sonnet-4-6"][0],
        2,
    )


def test_prices_of_cached_tokens_that_are_not_known(tmp_path: Path) -> None:
    row = PLAIN._replace(cache_creation_input_tokens=1000)
    price: Callable[[str, str], Prices] = lambda provider, model: Prices(input=1.0, output=10.0)  # noqa: E731
    total = report(tmp_path, [row], price_of=price)["total"]
    assert total["cost_usd"] == pytest.approx((2000 + 500) / 1_000_000)


def test_nothing_is_a_report_too(tmp_path: Path) -> None:
    shown = report(tmp_path, [])
    assert shown["lines"] == []
    assert shown["total"]["requests"] == 0
    assert shown["total"]["cost_usd"] is None
    assert shown["total"]["last_at"] is None


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("model", ["databricks-claude-sonnet-4-6", "databricks-claude-haiku-4-5", "llama-9", None]),
        ("provider", ["databricks", "own", None]),
        ("session", ["5e55-10", "other"]),
        ("project", ["-home-me-work", None]),
        ("rule", ["default", "background", "think"]),
        ("agent", ["claude-cli/2.1.0", "curl/8"]),
        ("day", ["2026-09-21"]),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_groups(tmp_path: Path, by: By, keys: list[str | None]) -> None:
    rows = [PLAIN, HAIKU, OTHER, failed(provider="", upstream_model="")]
    shown = report(tmp_path, rows, by, projects={"5e55-10": "-home-me-work"})
    assert [line["key"] for line in shown["lines"]] == keys
    assert sum(line["requests"] for line in shown["lines"]) == 4


@pytest.mark.usefixtures("berlin")
def test_days_are_those_of_this_machine_also_when_the_clock_is_changed(tmp_path: Path) -> None:
    times = [
        "2026-10-24T21:59:59+00:00",  # the 24th, summer time
        "2026-10-24T22:00:00+00:00",  # the 25th, which has 25 hours
        "2026-10-25T22:59:59+00:00",
        "2026-10-25T23:00:00+00:00",  # the 26th, winter time
    ]
    shown = report(tmp_path, [PLAIN._replace(at_ms=at(each)) for each in times], "day")
    days = [(line["key"], line["requests"]) for line in shown["lines"]]
    assert days == [("2026-10-24", 1), ("2026-10-25", 2), ("2026-10-26", 1)]


def test_a_period_begins_at_its_first_moment_and_ends_before_its_last(tmp_path: Path) -> None:
    since, until = (dt.datetime(2026, 9, day, tzinfo=dt.UTC) for day in (1, 2))
    moments = [since - dt.timedelta(milliseconds=1), since, until - dt.timedelta(milliseconds=1), until]
    rows = [PLAIN._replace(at_ms=round(moment.timestamp() * 1000)) for moment in moments]
    shown = report(tmp_path, rows, since=since, until=until)
    assert shown["total"]["requests"] == 2
    assert (shown["since"], shown["until"]) == ("2026-09-01T00:00:00+00:00", "2026-09-02T00:00:00+00:00")


ROWS = st.lists(
    st.builds(
        lambda row, tokens, outcome, model: row._replace(
            outcome=outcome,
            upstream_model=model,
            **dict(zip([name for name in row._fields if name.endswith("_tokens")], tokens, strict=True)),
        ),
        st.sampled_from([PLAIN, OTHER, HAIKU]),
        st.one_of(st.just([None] * 4), st.lists(st.integers(0, 10**9), min_size=4, max_size=4)),
        st.sampled_from(["ok", "error", "cancelled"]),
        st.sampled_from(["databricks-claude-opus-4-6", "gpt-5", ""]),
    ),
    max_size=12,
)


@given(rows=ROWS, by=st.sampled_from(["day", "model", "provider", "session", "project", "rule", "agent"]))
def test_the_groups_sum_up_to_the_total(tmp_path_factory: pytest.TempPathFactory, rows: Any, by: By) -> None:
    shown = report(tmp_path_factory.mktemp("sums"), rows, by)
    for name in ("requests", "errors", "cancelled", "without_usage", "without_price", "input_tokens"):
        assert sum(line[name] or 0 for line in shown["lines"]) == (shown["total"][name] or 0)
    costs = [line["cost_usd"] for line in shown["lines"] if line["cost_usd"] is not None]
    assert (shown["total"]["cost_usd"] is None) == (not costs)
    assert sum(costs) == pytest.approx(shown["total"]["cost_usd"] or 0, abs=1e-4)
    assert shown["total"]["requests"] == len(rows)


def test_no_groups_have_no_figures() -> None:
    assert figures_of([]).prompt_tokens is None


# -- single requests -----------------------------------------------------------------------------------

LIMITED = failed(request_id="req_2", error="Limit of 100% reached: tokens_per_minute")
LOST = failed(request_id="req_3", provider="own", upstream_model="llama-9", error="no answer", session="x_1")
GONE = PLAIN._replace(request_id="req_4", outcome="cancelled", model="opus", session=None)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), ["req_4", "req_3", "req_2", "req_1"]),
        (Filters(only_errors=True), ["req_3", "req_2"]),
        (Filters(session="5e55"), ["req_2", "req_1"]),
        (Filters(session="x_"), ["req_3"]),
        (Filters(session="x%"), []),
        (Filters(session="55"), []),
        (Filters(model="OPUS"), ["req_4"]),
        (Filters(model="llama"), ["req_3"]),
        (Filters(provider="own"), ["req_3"]),
        (Filters(provider="ow"), []),
        (Filters(text="100%"), ["req_2"]),
        (Filters(text="rate_limit"), ["req_3", "req_2"]),
        (Filters(text="req_4"), ["req_4"]),
        (Filters(text="work"), ["req_2", "req_1"]),
        (Filters(text="'; DROP TABLE requests; --"), []),
        (Filters(text="\\"), []),
        (Filters(only_errors=True, provider="databricks", text="limit"), ["req_2"]),
        (Filters(since=dt.datetime(2026, 9, 22, tzinfo=dt.UTC)), []),
        (Filters(until=dt.datetime(2026, 9, 22, tzinfo=dt.UTC), provider="own"), ["req_3"]),
    ],
)
def test_filters(tmp_path: Path, filters: Filters, found: list[str]) -> None:
    path = tmp_path / "usage.sqlite"
    make_database(path, [PLAIN, LIMITED, LOST, GONE], {"5e55-10": "-home-me-work"})
    with open_read_only(path) as reader:
        assert [row.request_id for row in recent_requests(reader, filters)] == found


def test_pages_of_requests(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    make_database(path, [PLAIN._replace(request_id=f"req_{number}") for number in range(5)])
    with open_read_only(path) as reader:
        first = recent_requests(reader, limit=2)
        second = recent_requests(reader, limit=2, before=first[-1].id)
    assert [row.request_id for row in (*first, *second)] == ["req_4", "req_3", "req_2", "req_1"]


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    row = failed(error="ünïcödé \x1b[2J", fallback=True, retries=2, stream=False)
    make_database(path, [row], {"5e55-10": "-p"})
    with open_read_only(path) as reader:
        (found,) = recent_requests(reader)
    assert found == row._replace(id=1, project="-p")
    assert (found.stream, found.fallback) == (False, True)
    shown = found.to_dict()
    assert list(shown)[:3] == ["id", "at", "request_id"]
    assert shown["at"] == "2026-09-21T14:13:20.000+00:00"


# -- what cannot be read -------------------------------------------------------------------------------


def reason(path: Path) -> str:
    with pytest.raises(StoreError) as raised:
        open_read_only(path)
    assert str(path) in str(raised.value)
    return raised.value.reason


def test_databases_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    assert reason(path) == "missing"
    path.write_bytes(b"")
    assert reason(path) == "missing"
    path.write_bytes(b"no database " * 1000)
    assert reason(path) == "broken"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    make_database(tmp_path / "elsewhere", [PLAIN])
    assert reason(path) == "unusable"
    assert reason(tmp_path / "elsewhere" / "usage.sqlite") == "unusable"
    path.unlink()
    path.mkdir()
    assert reason(path) == "unusable"


def test_a_damaged_database_says_so_when_it_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    make_database(path, [PLAIN._replace(error="x" * 200) for _ in range(500)])
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(data)
    with open_read_only(path) as reader, pytest.raises(StoreError) as raised:
        recent_requests(reader, limit=500)
    assert raised.value.reason == "broken"


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    make_database(path, [PLAIN])
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    assert reason(path) == "newer"
    assert path.read_bytes() == before


def test_reading_needs_no_right_to_write() -> None:
    with readable_only() as folder:
        path = folder / "usage.sqlite"
        before = path.read_bytes()
        with open_read_only(path) as reader:
            assert len(recent_requests(reader)) == 1
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader._connection.execute("DELETE FROM requests")
        assert path.read_bytes() == before
        assert os.listdir(folder) == ["usage.sqlite"]  # noqa: PTH208 - names


def test_what_is_being_written_cannot_be_left_out() -> None:
    with readable_only(b"what the database does not have yet") as folder:
        assert reason(folder / "usage.sqlite") == "unusable"
