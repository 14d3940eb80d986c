"""Reports as text and as CSV. Pure.

A dash stands for what nobody knows: no upstream reported it, or there is no price.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import fields
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.cli.printable import printable
from ccr.store.report import Figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.store.report import Line, Report

DEFAULT_DAYS: Final = 30
HEADINGS: Final = (
    *("REQUESTS", "ERRORS", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT"),
    *("HITS", "TOKENS/S", "FIRST BYTE", "COST"),
)
UNKNOWN: Final = "-"
ESTIMATE: Final = (
    "Costs are estimates at list prices, or at the `prices` of a provider; docs/usage.md says how."
)
UNITS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "K"))
PLAIN_BELOW: Final = 10_000
CENT: Final = 0.01


class Period(NamedTuple):
    """Some days: begun at ``since`` or later, before ``until``; None: no bound. words: for people."""

    since: dt.datetime | None
    until: dt.datetime | None
    words: str

    @classmethod
    def last(cls, today: dt.date, days: int) -> Period:
        """Return the last so many days, today among them."""
        first = today - dt.timedelta(days=days - 1)
        return cls(_midnight(first), None, "today" if days == 1 else f"last {days} days")

    @classmethod
    def of(
        cls, today: dt.date, days: int | None, since: dt.datetime | None, until: dt.datetime | None
    ) -> Period:
        """Return what the options say. since, until: first and last day, as naive datetimes."""
        if since is None and until is None:
            return cls.last(today, days or DEFAULT_DAYS)
        first = since.date() if since is not None else None
        last = until.date() if until is not None else None
        words = " ".join(
            [*([f"from {first}"] if first is not None else []), *([f"to {last}"] if last is not None else [])]
        )
        return cls(
            _midnight(first) if first is not None else None,
            _midnight(last + dt.timedelta(days=1)) if last is not None else None,
            words,
        )


def overview(periods: Sequence[tuple[Period, Report]]) -> str:
    """Return the totals of some periods, and the groups of the last one."""
    period, longest = periods[-1]
    if not longest.total.requests:
        return nothing_in(period)
    rows = [(each.words, *_cells(report.total)) for each, report in periods]
    by_model = [_row(line) for line in longest.lines]
    return "\n".join(
        [
            table(("", *HEADINGS), rows),
            "",
            f"By {longest.by}, {period.words}:",
            "",
            table((longest.by.upper(), *HEADINGS), by_model),
            *_notes(longest.total),
        ]
    )


def report_text(period: Period, report: Report) -> str:
    """Return the groups of a period and their total."""
    if not report.total.requests:
        return nothing_in(period)
    rows = [*(_row(line) for line in report.lines), ("total", *_cells(report.total))]
    title = f"By {report.by}, {period.words}:"
    return "\n".join([title, "", table((report.by.upper(), *HEADINGS), rows), *_notes(report.total)])


def nothing_in(period: Period) -> str:
    """Return the sentence on a period without requests."""
    return f"No requests were recorded: {period.words}."


def csv_of(report: Report) -> str:
    """Return the groups of a report, one line each with all digits; what nobody knows is empty."""
    names = [field.name for field in fields(Figures)]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([report.by, *names])
    for line in report.lines:
        figures = line.figures.to_dict()
        writer.writerow([printable(line.key or ""), *(figures[name] for name in names)])
    return written.getvalue()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return columns as wide as their longest cell: the first ``left`` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = []
    for cells in (headings, *rows):
        padded = [cell.ljust(width) for cell, width in zip(cells[:left], widths, strict=False)]
        padded += [cell.rjust(width) for cell, width in zip(cells[left:], widths[left:], strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def tokens(count: int | None) -> str:
    """Return a number of tokens in a few characters: 9876, 12.3K, 4.56M."""
    if count is None:
        return UNKNOWN
    if count < PLAIN_BELOW:
        return str(count)
    size, unit = next(each for each in UNITS if count >= each[0])
    return f"{count / size:.3g}{unit}" if count < 100 * size else f"{count / size:.0f}{unit}"


def dollars(cost: float | None, without_price: int) -> str:
    """Return a cost; with ``+ ?`` where some of the requests have no price."""
    if cost is None:
        return "unknown" if without_price else UNKNOWN
    text = f"${cost:,.2f}" if cost >= CENT or cost == 0 else f"${cost:.4f}"
    return f"{text} + ?" if without_price else text


def _row(line: Line) -> tuple[str, ...]:
    return (printable(line.key) if line.key is not None else UNKNOWN, *_cells(line.figures))


def _cells(figures: Figures) -> tuple[str, ...]:
    share, speed, first = figures.cache_hit_share, figures.tokens_per_s, figures.first_byte_ms
    return (
        str(figures.requests),
        str(figures.errors),
        tokens(figures.input_tokens),
        tokens(figures.cache_read_input_tokens),
        tokens(figures.cache_creation_input_tokens),
        tokens(figures.output_tokens),
        f"{share:.0%}" if share is not None else UNKNOWN,
        f"{speed:.0f}" if speed is not None else UNKNOWN,
        f"{first / 1000:.1f} s" if first is not None else UNKNOWN,
        dollars(figures.cost_usd, figures.without_price),
    )


def _notes(total: Figures) -> list[str]:
    notes = [""]
    if total.cost_usd is not None:
        notes.append(ESTIMATE)
    if total.without_price:
        notes.append(
            f"{_count(total.without_price)} went to models without a known price: they are in no cost."
        )
    if total.without_usage:
        notes.append(
            f"{_count(total.without_usage)} had answers without token figures: they are in no sum of tokens."
        )
    return notes if len(notes) > 1 else []


def _count(requests: int) -> str:
    return f"{requests} request" if requests == 1 else f"{requests} requests"


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min).astimezone()
