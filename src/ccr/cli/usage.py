"""``ccr usage``: tokens, costs, errors and speed of what the service has answered."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from ccr.cli.kept import configuration, opened
from ccr.cli.usage_text import DEFAULT_DAYS, Period, csv_of, overview, report_text
from ccr.store.reading import By

if TYPE_CHECKING:
    from ccr.store.report import Report

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--days", type=click.IntRange(1, 36500), help="The last so many days, today among them.")
@click.option("--since", type=DAY, metavar="DATE", help="From this day on (2026-11-30).")
@click.option("--until", type=DAY, metavar="DATE", help="Up to this day, which is among them.")
@click.option("--by", type=click.Choice(get_args(By)), help="What is listed; by default models.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all digits.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for spreadsheets.")
def usage(
    *,
    days: int | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    by: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what was used: today, in 7 and in 30 days, and by model; or one period, by what --by says.

    Days are this machine's. Costs are estimates at list prices, or at `prices` of a provider.
    """
    if days is not None and (since is not None or until is not None):
        raise click.UsageError("--days and --since or --until exclude each other")
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if since is not None and until is not None and until < since:
        raise click.UsageError("--until is before --since")
    now = today()
    is_asked = any(value is not None for value in (days, since, until, by)) or as_json or as_csv
    period = Period.of(now, days, since, until)
    config = configuration()
    with opened(config) as reader:
        from ccr.store.read import prices_of, usage_report

        price_of = prices_of(config)

        def report(within: Period, grouped: By) -> Report:
            return usage_report(reader, within.since, within.until, grouped, price_of)

        if not is_asked:
            periods = [Period.last(now, count) for count in (1, 7, DEFAULT_DAYS)]
            totals = [(each, report(each, "model")) for each in periods]
            click.echo(overview(totals))
            return
        found = report(period, cast("By", by or "model"))
    if as_json:
        click.echo(json.dumps(_document(found), indent=2))
    elif as_csv:
        click.echo(csv_of(found), nl=False)
    else:
        click.echo(report_text(period, found))


def today() -> dt.date:
    """Return this machine's day."""
    return dt.datetime.now().astimezone().date()


def _document(report: Report) -> dict[str, Any]:
    return {**report.to_dict(), "currency": "USD"}
