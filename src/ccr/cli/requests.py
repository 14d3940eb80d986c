"""``ccr requests``: the last requests, searched; what was said in them is not kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ccr.cli.kept import configuration, opened
from ccr.cli.printable import printable
from ccr.cli.usage_text import UNKNOWN, table, tokens

if TYPE_CHECKING:
    from ccr.store.records import RequestRow

TEXTS = ("TIME", "OUTCOME", "ROUTE", "RULE", "REQUEST")
NUMBERS = ("PROMPT", "OUTPUT", "FIRST BYTE", "TOOK")


@click.command()
@click.option("--errors", is_flag=True, help="Only requests that failed.")
@click.option("--session", metavar="ID", help="Of this session; the beginning of its id is enough.")
@click.option("--model", metavar="TEXT", help="Whose model, asked for or used, has this in its name.")
@click.option("--provider", metavar="NAME", help="To this provider.")
@click.option("--text", metavar="TEXT", help="With this in the error, a model's name, project or id.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with all fields.")
def requests(
    *,
    errors: bool,
    session: str | None,
    model: str | None,
    provider: str | None,
    text: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the last requests, the newest first: when, where to, why there, tokens, times, errors."""
    with opened(configuration()) as reader:
        from ccr.store.read import Filters, recent_requests

        wanted = Filters(only_errors=errors, session=session, model=model, provider=provider, text=text)
        rows = recent_requests(reader, wanted, limit)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row.to_dict()))
    elif not rows:
        click.echo("No such request was recorded." if any(wanted) else "No requests were recorded yet.")
    else:
        click.echo(requests_text(rows))


def requests_text(rows: list[RequestRow]) -> str:
    """Return requests as a table; what went wrong stands below each."""
    header, *lines = table((*TEXTS, *NUMBERS), [_cells(row) for row in rows], left=len(TEXTS)).split("\n")
    shown = [header]
    for row, line in zip(rows, lines, strict=True):
        shown.append(line)
        if row.error or row.error_type:
            shown.append(f"    {printable(': '.join(filter(None, (row.error_type, row.error))))}")
    return "\n".join(shown)


def _cells(row: RequestRow) -> tuple[str, ...]:
    prompt = None
    if row.input_tokens is not None:
        prompt = (
            row.input_tokens + (row.cache_read_input_tokens or 0) + (row.cache_creation_input_tokens or 0)
        )
    route = f"{row.provider},{row.upstream_model}" if row.provider else row.model
    return (
        f"{row.at.astimezone():%m-%d %H:%M:%S}",
        row.outcome if row.outcome != "error" else f"error {row.status}",
        printable(route) or UNKNOWN,
        printable(row.rule) or UNKNOWN,
        printable(row.request_id),
        tokens(prompt),
        tokens(row.output_tokens),
        _seconds(row.first_byte_ms),
        _seconds(row.ms),
    )


def _seconds(ms: float | None) -> str:
    return UNKNOWN if ms is None else f"{ms / 1000:.1f} s"
